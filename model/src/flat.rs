//! A network's tensors as one vector of f32, and back.
//!
//! The layout is a function of the model spec alone. It has burn's own order and dotted paths, which are stable;
//! burn's param ids are random in every process and never leave it.

use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use syngrad_engine::Layout;
use syngrad_engine::layout::Tensor as Entry;
use syngrad_engine::random::{Purpose, Stream};
use syngrad_engine::spec::ModelSpec;

use crate::architecture::widths;

/// Names, shapes and order of the model's tensors: `layers.N.weight` `[in, out]`, then `layers.N.bias` `[out]`.
///
/// # Panics
/// If the model passes the limits that `RunSpec::check` enforces.
#[must_use]
pub fn layout(model: &ModelSpec) -> Arc<Layout> {
    let entry = |name: String, shape: &[usize]| Entry { name, shape: shape.into() };
    let tensors = match model {
        ModelSpec::Mlp { inputs, hidden, classes } => {
            let widths = widths(*inputs, hidden, *classes);
            let layer = |(index, pair): (usize, &[usize])| {
                let weight = entry(format!("layers.{index}.weight"), pair);
                [weight, entry(format!("layers.{index}.bias"), &pair[1..])]
            };
            widths.windows(2).enumerate().flat_map(layer).collect()
        }
        ModelSpec::Noop { params } => vec![entry("noop".into(), &[*params])],
    };
    Arc::new(Layout::new(tensors).expect("a checked spec is within a layout's limits"))
}

/// The params that a run of `seed` begins with: weight and bias of a layer uniform in ±1/√inputs (He et al. 2015 with
/// PyTorch's gain, `torch.nn.Linear`), each tensor from a stream of its own. A model that computes nothing begins at 0.
///
/// Only +, -, ×, ÷ and √ are used, which IEEE 754 rounds correctly, so the bits are the same everywhere.
#[must_use]
pub fn initial_params(model: &ModelSpec, seed: u64) -> Vec<f32> {
    let layout = layout(model);
    let mut params = vec![0.0; layout.params()];
    let ModelSpec::Mlp { inputs, hidden, classes } = model else { return params };
    let widths = widths(*inputs, hidden, *classes);
    for (index, range) in layout.ranges().enumerate() {
        // Each layer has two tensors, and both take their range from the layer's inputs.
        let bound = 1.0 / (widths[index / 2] as f32).sqrt();
        let mut stream = Stream::new(seed, Purpose::Init, &[index as u64]);
        for param in &mut params[range] {
            *param = (2.0 * stream.unit_f32() - 1.0) * bound;
        }
    }
    params
}

/// The module with all its params replaced by flat ones.
pub(crate) fn load<M: Module>(module: M, params: &[f32], device: &Device) -> M {
    let mut loader = Loader { rest: params, device };
    let module = module.map(&mut loader);
    assert!(loader.rest.is_empty(), "flat params fill the module");
    module
}

struct Loader<'a> {
    rest: &'a [f32],
    device: &'a Device,
}

impl ModuleMapper for Loader<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let (head, rest) = self.rest.split_at(old.shape().num_elements());
            self.rest = rest;
            let data = TensorData::new(head.to_vec(), old.shape());
            Tensor::from_data(data, self.device).set_require_grad(old.is_require_grad())
        })
    }
}

/// Moves the gradients of all the module's params into `out`, flat.
pub(crate) fn gradients<M: Module>(module: &M, gradients: &mut Gradients, out: &mut [f32]) {
    let mut collector = Collector { gradients, rest: out };
    module.visit(&mut collector);
    assert!(collector.rest.is_empty(), "the module's gradients fill the flat vector");
}

struct Collector<'a> {
    gradients: &'a mut Gradients,
    rest: &'a mut [f32],
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad_remove(self.gradients).expect("every param takes part in the forward pass");
        let data = gradient.into_data();
        let values = data.as_slice::<f32>().expect("the devices compute in f32");
        let (head, rest) = std::mem::take(&mut self.rest).split_at_mut(values.len());
        head.copy_from_slice(values);
        self.rest = rest;
    }
}

/// Dotted paths and shapes as burn traverses them.
#[cfg(test)]
pub(crate) fn tensors<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    #[derive(Default)]
    struct Paths {
        path: Vec<String>,
        found: Vec<(String, Vec<usize>)>,
    }
    impl ModuleVisitor for Paths {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.push((self.path.join("."), param.val().dims().to_vec()));
        }
    }
    let mut paths = Paths::default();
    module.visit(&mut paths);
    paths.found
}

#[cfg(test)]
mod tests;
