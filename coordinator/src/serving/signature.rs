//! What a served model takes and answers, derived from its spec.

use std::fmt;

use syngrad_engine::spec::{DataSpec, ModelSpec, TestData};

/// Name of the output with the class probabilities: FP32 `[n, classes]`.
pub(super) const PROBABILITIES: &str = "probabilities";
/// Name of the output with the likeliest class: INT64 `[n]`.
pub(super) const LABEL: &str = "label";
/// Every name that a model can be served under.
pub(super) const MODEL_NAMES: [&str; 3] = ["mnist", "synthetic", "private"];

/// The interface of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// The name that clients ask for.
    pub(super) name: &'static str,
    /// What the network is, for the metadata.
    pub(super) platform: &'static str,
    /// The name of the one input.
    pub(super) input: &'static str,
    /// Features of a row, the width of the FP32 form.
    pub(super) features: usize,
    /// Shape of a row in the UINT8 form.
    pub(super) picture: Vec<usize>,
    /// Classes, the width of the probabilities.
    pub(super) classes: usize,
}

impl Signature {
    /// The interface of `model`, trained on `data`; none for a network that predicts nothing.
    pub(super) fn of(model: &ModelSpec, data: &DataSpec) -> Option<Self> {
        let (features, classes) = match model {
            ModelSpec::Mlp { inputs, classes, .. } => (*inputs, *classes),
            ModelSpec::Noop { .. } => return None,
        };
        let [mnist, synthetic, private] = MODEL_NAMES;
        let (name, input, picture) = match data {
            // Whose images it learned from does not change what it takes.
            DataSpec::Mnist { .. } | DataSpec::Private { test: TestData::Mnist, .. } => (mnist, "image", vec![28, 28]),
            DataSpec::Synthetic { .. } => (synthetic, "features", vec![features]),
            DataSpec::Private { test: TestData::None, .. } => (private, "features", vec![features]),
        };
        Some(Self { name, platform: "syngrad_mlp", input, features, picture, classes })
    }

    /// The shape of a row in `datatype`.
    pub(super) fn row(&self, datatype: Datatype) -> &[usize] {
        match datatype {
            Datatype::Fp32 => std::slice::from_ref(&self.features),
            Datatype::Uint8 => &self.picture,
        }
    }
}

/// The datatypes that the input may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    /// A feature is 0 to 1.
    Fp32,
    /// A feature is 0 to 255.
    Uint8,
}

impl Datatype {
    /// Every datatype, the one of the metadata first.
    pub(super) const ALL: [Self; 2] = [Self::Fp32, Self::Uint8];

    /// The protocol's name of it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "FP32",
            Self::Uint8 => "UINT8",
        }
    }

    /// The datatype of that name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| datatype.name() == name)
    }

    /// Bytes of a value in raw contents.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Fp32 => 4,
            Self::Uint8 => 1,
        }
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A row's shape as the shape of a batch of any size, in the protocol's words: `[-1,28,28]`.
pub(super) fn batch_shape(row: &[usize]) -> Vec<i64> {
    let wide = |&size: &usize| i64::try_from(size).expect("a dimension of a checked spec is far below 2^63");
    std::iter::once(-1).chain(row.iter().map(wide)).collect()
}

/// A shape for people: `[-1,28,28]`.
pub(super) fn shape_text(shape: &[i64]) -> String {
    let sizes: Vec<String> = shape.iter().map(i64::to_string).collect();
    format!("[{}]", sizes.join(","))
}
