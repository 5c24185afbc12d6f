//! Gigabytes a second of exact aggregation, beside what a plain f32 sum and a copy take over the same values.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use syngrad_engine::aggregate::{Aggregate, Tally};
use syngrad_engine::layout::{Layout, Tensor};
use syngrad_engine::quantize::{Grid, UnitSum};
use syngrad_engine::random::{Purpose, Stream};
use syngrad_engine::spec::UpdateBits;
use syngrad_engine::{Round, Unit, Units};

use crate::args::AggregateArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::table::{rows, thousands};

/// Time that each figure is measured for.
const SPAN: Duration = Duration::from_millis(400);
/// Updates of the large case for one of the small case.
const LARGE_UPDATES: u32 = 8;

#[derive(Serialize)]
struct AggregateReport {
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    operation: String,
    params: usize,
    updates: usize,
    /// Bytes of updates read in a second.
    gb_per_second: f64,
    /// The f32 bytes that the same values would be: comparable over widths.
    f32_gb_per_second: f64,
}

pub(super) fn run(args: &AggregateArgs, output: Output) -> Result<Exit, Failure> {
    let mut rows = measure(args.params as usize, args.updates)?;
    rows.extend(measure(args.large_params as usize, args.updates.saturating_mul(LARGE_UPDATES))?);
    output.result(&AggregateReport { rows });
    Ok(Exit::Ok)
}

fn measure(params: usize, updates: u32) -> Result<Vec<Row>, Failure> {
    let values = gradient(params);
    let mut rows = vec![copy(&values, updates), float_sum(&values, updates)];
    for bits in [UpdateBits::ThirtyTwo, UpdateBits::Sixteen, UpdateBits::Eight] {
        rows.push(exact(&values, updates, bits)?);
    }
    Ok(rows)
}

/// Values of a gradient's usual size, both signs.
fn gradient(params: usize) -> Vec<f32> {
    let mut stream = Stream::new(0, Purpose::Samples, &[]);
    (0..params).map(|_| (stream.unit_f32() - 0.5) * 0.02).collect()
}

fn copy(values: &[f32], updates: u32) -> Row {
    let sources = vec![values.to_vec(); updates as usize];
    let mut target = vec![0.0f32; values.len()];
    let seconds = timed(|| {
        for source in &sources {
            target.copy_from_slice(black_box(source));
            black_box(&mut target);
        }
    });
    row("memcpy", values.len(), updates, size_of::<f32>(), seconds)
}

fn float_sum(values: &[f32], updates: u32) -> Row {
    let sources = vec![values.to_vec(); updates as usize];
    let mut sums = vec![0.0f32; values.len()];
    let seconds = timed(|| {
        for source in &sources {
            for (sum, value) in sums.iter_mut().zip(black_box(source)) {
                *sum += value;
            }
            black_box(&mut sums);
        }
    });
    row("f32 add", values.len(), updates, size_of::<f32>(), seconds)
}

fn exact(values: &[f32], updates: u32, bits: UpdateBits) -> Result<Row, Failure> {
    let layout = layout(values.len())?;
    let grid = grid(bits, updates, &layout)?;
    let mut sum = UnitSum::new(Arc::clone(&layout));
    let mut packed = Vec::new();
    for unit in (0..updates).map(Unit) {
        sum.begin(0, Round(1), &grid);
        sum.add(unit, values).map_err(|why| Failure::failed(&why))?;
        let mut bytes = Vec::new();
        sum.pack(&mut bytes);
        packed.push((bytes, Tally { units: Units::from([unit]), weight: 1, saturated: 0 }));
    }
    let mut aggregate = Aggregate::new(layout, &grid);
    let mut refused = None;
    let mut spent = Duration::ZERO;
    let mut passes = 0u32;
    while spent < SPAN {
        aggregate.clear(&grid);
        let began = Instant::now();
        for (bytes, tally) in &packed {
            refused = aggregate.add(black_box(bytes), tally).err().or(refused);
        }
        spent += began.elapsed();
        passes += 1;
    }
    match refused {
        Some(why) => Err(Failure::failed(&why)),
        None => {
            let name = format!("exact add, {} bits", u8::from(bits));
            Ok(row(&name, values.len(), updates, bits.bytes(), spent.as_secs_f64() / f64::from(passes)))
        }
    }
}

fn layout(params: usize) -> Result<Arc<Layout>, Failure> {
    let tensors = vec![Tensor { name: "values".to_owned(), shape: vec![params] }];
    Layout::new(tensors).map(Arc::new).map_err(|why| Failure::usage(&why))
}

/// A grid on which the values of [`gradient`] use about half of the limit.
fn grid(bits: UpdateBits, units: u32, layout: &Layout) -> Result<Grid, Failure> {
    let limit = syngrad_engine::quantize::limit(bits, units).ok_or_else(|| {
        Failure::usage(&format!("{units} updates do not fit {} bits; lower --updates", u8::from(bits)))
    })?;
    let exponent = (f64::from(limit) / 0.02).log2().floor() as i16;
    Grid::validated(bits, limit, vec![exponent], layout).map_err(|why| Failure::failed(&why))
}

/// Seconds of one pass.
fn timed(mut pass: impl FnMut()) -> f64 {
    pass();
    let began = Instant::now();
    let mut passes = 0u32;
    while began.elapsed() < SPAN {
        pass();
        passes += 1;
    }
    began.elapsed().as_secs_f64() / f64::from(passes)
}

fn row(operation: &str, params: usize, updates: u32, bytes: usize, seconds: f64) -> Row {
    let values = params as f64 * f64::from(updates);
    Row {
        operation: operation.to_owned(),
        params,
        updates: updates as usize,
        gb_per_second: values * bytes as f64 / seconds / 1e9,
        f32_gb_per_second: values * size_of::<f32>() as f64 / seconds / 1e9,
    }
}

impl Report for AggregateReport {
    fn text(&self) -> String {
        rows(
            ["operation", "params", "updates", "GB/s", "GB/s as f32"],
            &["params", "updates", "GB/s", "GB/s as f32"],
            self.rows.iter().map(|row| {
                [
                    row.operation.clone(),
                    thousands(row.params as u64),
                    row.updates.to_string(),
                    format!("{:.1}", row.gb_per_second),
                    format!("{:.1}", row.f32_gb_per_second),
                ]
            }),
        )
    }
}
