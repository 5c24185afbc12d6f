//! The networks. To add one: derive [`Module`], give it a forward pass, a layout in [`crate::flat`], a variant of
//! `ModelSpec` and one of [`Network`].

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use syngrad_engine::spec::ModelSpec;

use crate::flat;
use crate::loss;

/// Fully connected layers with ReLU between them.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// All params are zero until loaded: burn's own initialisation is lazy and its seed global, so the order of first
    /// touch would change the values.
    fn zeros(widths: &[usize], device: &Device) -> Self {
        let layer = |pair: &[usize]| Linear {
            weight: Param::from_tensor(Tensor::zeros([pair[0], pair[1]], device)),
            bias: Some(Param::from_tensor(Tensor::zeros([pair[1]], device))),
        };
        Self { layers: widths.windows(2).map(layer).collect() }
    }

    /// Rows `[n, inputs]` to logits `[n, classes]`.
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers.iter().enumerate().fold(input, |rows, (index, layer)| match index == last {
            true => layer.forward(rows),
            false => relu(layer.forward(rows)),
        })
    }
}

/// Widths of an MLP's layers, inputs and classes included.
pub(crate) fn widths(inputs: usize, hidden: &[usize], classes: usize) -> Vec<usize> {
    [&[inputs], hidden, &[classes]].concat()
}

/// A network that classifies rows of features, with its device.
#[derive(Debug)]
pub(crate) struct Network {
    mlp: Mlp,
    device: Device,
    inputs: usize,
    classes: usize,
    /// The storage of the last batch's rows, so that the next batch needs no allocation.
    spare: Vec<f32>,
}

impl Network {
    /// The network of `model` with all params zero; none for a model that computes nothing.
    pub(crate) fn new(model: &ModelSpec, device: Device) -> Option<Self> {
        match model {
            ModelSpec::Mlp { inputs, hidden, classes } => {
                let mlp = Mlp::zeros(&widths(*inputs, hidden, *classes), &device);
                Some(Self { mlp, device, inputs: *inputs, classes: *classes, spare: Vec::new() })
            }
            ModelSpec::Noop { .. } => None,
        }
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn classes(&self) -> usize {
        self.classes
    }

    #[cfg(test)]
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        flat::tensors(&self.mlp)
    }

    /// Replaces all params by flat ones.
    pub(crate) fn load(&mut self, params: &[f32]) {
        let empty = Mlp { layers: Vec::new() };
        self.mlp = flat::load(std::mem::replace(&mut self.mlp, empty), params, &self.device);
    }

    /// A batch's rows, written by `fill` into the storage of the last batch, which still holds that one's.
    pub(crate) fn rows(&mut self, fill: impl FnOnce(&mut Vec<f32>)) -> Vec<f32> {
        let mut rows = std::mem::take(&mut self.spare);
        fill(&mut rows);
        rows
    }

    /// Logits `[n, classes]` of rows `[n, inputs]`.
    pub(crate) fn logits(&self, rows: Vec<f32>) -> Vec<f32> {
        let rows = self.tensor(rows, self.inputs);
        values(self.mlp.forward(rows))
    }

    /// Writes the gradient of the summed cross-entropy of a batch into `out`, flat; returns that sum.
    ///
    /// burn differentiates from a scalar only, so what it gets is Σ logits ⊙ c with c the gradient of the loss with
    /// respect to the logits: its gradient with respect to any param is that of the loss.
    pub(crate) fn gradient(&mut self, rows: Vec<f32>, labels: impl Iterator<Item = u8>, out: &mut [f32]) -> f64 {
        let rows = self.tensor(rows, self.inputs);
        let logits = self.mlp.forward(rows.clone());
        let mut seed = values(logits.clone().inner());
        let loss = loss::cross_entropy_gradient(&mut seed, labels, self.classes);
        let seed = self.tensor(seed, self.classes);
        let mut gradients = (logits * seed).sum().backward();
        flat::gradients(&self.mlp, &mut gradients, out);
        self.spare = values(rows);
        loss
    }

    fn tensor(&self, values: Vec<f32>, width: usize) -> Tensor<2> {
        let rows = values.len() / width;
        Tensor::from_data(TensorData::new(values, [rows, width]), &self.device)
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("the devices compute in f32")
}
