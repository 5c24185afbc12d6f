"""Makes optimizers.txt: what PyTorch's optimisers do to 37 params in 20 steps, and those of two papers that it lacks.

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torch
    /tmp/golden/bin/python optimizers.py > optimizers.txt

Lines: `init`, `gradient STEP` and `params CASE STEP`, each followed by 37 numbers; floats are written so that they
read back exactly. Gradients span six orders of magnitude, change sign, and are zero now and then.

FedAdam (Reddi et al. 2021, arXiv 2003.00295, algorithm 2) and Yogi (Zaheer et al. 2018, algorithm 2) are computed in
float64 from the papers' formulas, with the papers' letters, and rounded when they are written.
"""

import torch

PARAMS, STEPS, SHOWN = 37, 20, (1, 2, 5, 20)

CASES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
    "sgd-momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "sgd-nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, foreach=False),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, foreach=False),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, foreach=False),
    "rmsprop-momentum": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, foreach=False),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05, foreach=False),
    "adagrad-server": lambda p: torch.optim.Adagrad(p, lr=0.05, eps=1e-3, initial_accumulator_value=1e-6, foreach=False),
}

# The second moment after v with the delta d, which is minus the gradient.
SERVER_CASES = {
    "fedadam": lambda v, d, beta2: beta2 * v + (1 - beta2) * d**2,
    "yogi": lambda v, d, beta2: v - (1 - beta2) * d**2 * torch.sign(v - d**2),
}


def server(init: torch.Tensor, gradients: list[torch.Tensor], second, eta=0.05, beta1=0.9, beta2=0.99, tau=1e-3):
    x, m, v = init.double(), torch.zeros(PARAMS).double(), torch.full((PARAMS,), tau**2).double()
    for step, gradient in enumerate(gradients, 1):
        delta = -gradient.double()
        m = beta1 * m + (1 - beta1) * delta
        v = second(v, delta, beta2)
        x = x + eta * m / (v.sqrt() + tau)
        yield step, x.float()


def row(name: str, values: torch.Tensor) -> None:
    print(name, *(f"{value:.9g}" for value in values.tolist()))


def main() -> None:
    torch.manual_seed(20)
    init = torch.randn(PARAMS)
    scales = 10.0 ** torch.linspace(-5, 1, PARAMS)
    gradients = [torch.randn(PARAMS) * scales * (torch.rand(PARAMS) > 0.1) for _ in range(STEPS)]
    row("init", init)
    for step, gradient in enumerate(gradients, 1):
        row(f"gradient {step}", gradient)
    for name, make in CASES.items():
        params = torch.nn.Parameter(init.clone())
        optimizer = make([params])
        for step, gradient in enumerate(gradients, 1):
            params.grad = gradient.clone()
            optimizer.step()
            if step in SHOWN:
                row(f"params {name} {step}", params.detach())
    for name, second in SERVER_CASES.items():
        for step, params in server(init, gradients, second):
            if step in SHOWN:
                row(f"params {name} {step}", params)


main()
