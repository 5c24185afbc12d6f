//! `predict`: pictures in, digits out.

use serde::Serialize;

use crate::args::PredictArgs;
use crate::client::Target;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::table::{percent, rows};
use crate::{client, predict, runtime};

#[derive(Serialize)]
struct Predictions {
    predictions: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    file: String,
    label: usize,
    confidence: f32,
    probabilities: Vec<f32>,
    model: String,
    model_version: String,
    run: String,
    round: u32,
    params_digest: String,
}

pub(crate) fn run(args: &PredictArgs, output: Output) -> Result<Exit, Failure> {
    let pictures: Vec<Vec<u8>> = args.files.iter().map(|file| predict::load(file)).collect::<Result<_, _>>()?;
    let answers = runtime::light()?.block_on(async {
        let channel = client::channel(&Target::named(&args.coordinator)?).await?;
        Ok::<_, Failure>(predict::ask(channel, &args.model, &pictures).await?)
    })?;
    let predictions = args.files.iter().zip(answers).map(|(file, answer)| Row {
        file: file.display().to_string(),
        label: answer.label,
        confidence: answer.confidence(),
        probabilities: answer.probabilities,
        model: answer.provenance.model,
        model_version: answer.provenance.model_version,
        run: answer.provenance.run,
        round: answer.provenance.round,
        params_digest: answer.provenance.params_digest.to_string(),
    });
    output.result(&Predictions { predictions: predictions.collect() });
    Ok(Exit::Ok)
}

impl Report for Predictions {
    fn text(&self) -> String {
        rows(
            ["file", "digit", "sure", "model", "round", "params"],
            &["digit", "sure", "round"],
            self.predictions.iter().map(|row| {
                let model = format!("{} {}", row.model, row.model_version);
                let params = row.params_digest.chars().take(8).collect();
                [
                    row.file.clone(),
                    row.label.to_string(),
                    percent(row.confidence.into()),
                    model,
                    row.round.to_string(),
                    params,
                ]
            }),
        )
    }
}
