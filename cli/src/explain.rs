//! `explain` and `completion`: what the program knows of itself.

use clap::CommandFactory as _;
use serde::Serialize;
use syngrad_common::error::Code;

use crate::args::{Cli, CompletionArgs, ExplainArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report, write_out};
use crate::table::rows;

#[derive(Serialize)]
struct Page {
    code: &'static str,
    title: &'static str,
    exit_code: u8,
    text: &'static str,
}

#[derive(Serialize)]
struct Index {
    codes: Vec<Page>,
}

pub(crate) fn explain(args: &ExplainArgs, output: Output) -> Result<Exit, Failure> {
    match &args.code {
        Some(text) => {
            let code = Code::parse(text).ok_or_else(|| unknown(text))?;
            output.result(&page(code));
        }
        None => output.result(&Index { codes: Code::ALL.iter().copied().map(page).collect() }),
    }
    Ok(Exit::Ok)
}

pub(crate) fn completion(args: &CompletionArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "syngrad", &mut script);
    write_out(&String::from_utf8_lossy(&script));
    Exit::Ok
}

fn page(code: Code) -> Page {
    Page { code: code.as_str(), title: code.title(), exit_code: Exit::from(code.exit()).code(), text: code.page() }
}

fn unknown(text: &str) -> Failure {
    let (first, last) = (Code::ALL.first(), Code::ALL.last());
    let range = first.zip(last).map_or_else(String::new, |(first, last)| format!(" ({first} to {last})"));
    Failure::usage(&format!("{text:?} is no error code{range}; `syngrad explain` lists them all"))
}

impl Report for Page {
    fn text(&self) -> String {
        format!("{}\n", self.text.trim_end())
    }
}

impl Report for Index {
    fn text(&self) -> String {
        rows(
            ["code", "meaning", "exit"],
            &["exit"],
            self.codes.iter().map(|page| [page.code.to_owned(), page.title.to_owned(), page.exit_code.to_string()]),
        )
    }
}
