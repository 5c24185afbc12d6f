//! Whether the worker's own samples are those that a run counts on.

use std::sync::Arc;

use syngrad_common::{Code, Failure};
use syngrad_dataset::Samples;
use syngrad_dataset::private;
use syngrad_engine::RunSpec;
use syngrad_engine::spec::DataSpec;

use super::Owner;

/// The samples that `owner` brings to a run of `spec`; none if the coordinator has the samples.
pub(super) fn samples(spec: &RunSpec, owner: &Owner) -> Result<Option<Arc<Samples>>, Failure> {
    match &spec.data {
        DataSpec::Mnist { .. } | DataSpec::Synthetic { .. } => Ok(None),
        data @ DataSpec::Private { .. } => {
            let found = private::samples_of(data, &owner.partner, owner.data.as_deref());
            found.map(|samples| Some(Arc::new(samples))).map_err(|why| Failure::new(Code::DataDiffers, why.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use syngrad_common::config::CanonicalSpec;
    use syngrad_dataset::PrivateData;
    use syngrad_engine::PartnerName;

    use super::*;

    fn spec() -> CanonicalSpec {
        let text = r#"
            name = "three"
            model = { kind = "mlp", inputs = 2, hidden = [], classes = 3 }
            data = { kind = "private", inputs = 2, classes = 3, partners = [
                { partner = "a", samples = 2 }, { partner = "b", samples = 5 },
            ] }
            algorithm = { kind = "sync-sgd", epochs = 1, units = 2, unit_samples = 1 }
            optimizer = { kind = "sgd", learning_rate = 0.1 }
        "#;
        CanonicalSpec::parse(text).expect("a good spec")
    }

    fn owner(partner: &str, inputs: usize, features: &[u8], labels: &[u8]) -> Owner {
        let samples = Samples::new(inputs, 256, features.to_vec(), labels.to_vec()).expect("samples");
        let partner = PartnerName::parse(partner).expect("a name");
        Owner { partner, data: Some(Arc::new(PrivateData::new(samples))) }
    }

    #[test]
    fn what_the_run_counts_on_is_taken() {
        let found = samples(spec().spec(), &owner("a", 2, &[1, 2, 3, 4], &[2, 0])).expect("they fit");
        assert_eq!(found.map(|samples| (samples.len(), samples.classes())), Some((2, 3)));
    }

    #[test]
    fn anything_else_is_refused_with_what_differs() {
        let without = Owner { data: None, ..owner("a", 2, &[1, 2, 3, 4], &[2, 0]) };
        let cases = [
            (owner("c", 2, &[1, 2, 3, 4], &[2, 0]), "c is none of them"),
            (without, "counts on 2 samples of a; name their folder with --data"),
            (owner("b", 2, &[1, 2, 3, 4], &[2, 0]), "counts on 5 samples of b, here are 2"),
            (owner("a", 1, &[1, 2], &[2, 0]), "have 2 features, those of a have 1"),
            (owner("a", 2, &[1, 2, 3, 4], &[2, 3]), "sample 1 has label 3"),
        ];
        for (owner, expected) in cases {
            let failure = samples(spec().spec(), &owner).expect_err(expected);
            assert_eq!(failure.code, Code::DataDiffers);
            assert!(failure.message.contains(expected), "{failure}");
        }
    }
}
