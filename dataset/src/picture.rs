//! A picture of a digit as MNIST would have it.
//!
//! MNIST's own preparation (LeCun et al. 1998, "Gradient-based learning applied to document recognition"): the digit,
//! light on dark, is fitted into 20 × 20 with its aspect kept, and put into 28 × 28 with its centre of mass in the
//! middle. An image that is from MNIST already comes out as it went in.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageReader, Limits, Luma};
use thiserror::Error;

use crate::mnist::SIDE;

/// Pixels of the longer side of the digit.
const BOX: u32 = 20;
/// The longest side of a picture.
const MAX_SIDE: u32 = 8192;
/// The most memory that decoding takes.
const MAX_ALLOC: u64 = 256 << 20;
/// Ink that stands out from its ground by less than this is none.
const MIN_CONTRAST: u8 = 24;

/// Why a picture shows no digit.
#[derive(Debug, Error)]
pub enum PictureError {
    /// It cannot be decoded.
    #[error("the picture cannot be read: {0}; PNG, JPEG, GIF and BMP up to {MAX_SIDE} × {MAX_SIDE} can")]
    Unreadable(#[from] image::ImageError),
    /// Nothing stands out from the background.
    #[error("the picture is empty: nothing in its {width} × {height} pixels stands out from the background")]
    Empty {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
}

/// Decodes a picture file and prepares it as MNIST's images are: 28 × 28 bytes, row-major, light ink on black.
///
/// # Errors
/// [`PictureError`] when it is no picture, too large, or blank.
pub fn normalise(file: &[u8]) -> Result<Vec<u8>, PictureError> {
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(image::ImageError::IoError)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let ink = ink(&grey(&reader.decode()?));
    let empty = PictureError::Empty { width: ink.width(), height: ink.height() };
    let digit = fit(&crop(&ink).ok_or(empty)?);
    Ok(centre(&digit))
}

/// The picture in grey. Where the border is transparent, whatever is not is ink, of whatever colour.
fn grey(picture: &DynamicImage) -> GrayImage {
    let picture = picture.to_luma_alpha8();
    let (width, height) = picture.dimensions();
    let alpha = GrayImage::from_fn(width, height, |x, y| Luma([picture.get_pixel(x, y).0[1]]));
    if median(&mut border(&alpha)) < 128 {
        return alpha;
    }
    let over_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha)) / 255) as u8
    };
    GrayImage::from_fn(width, height, |x, y| {
        let [value, alpha] = picture.get_pixel(x, y).0;
        Luma([over_white(value, alpha)])
    })
}

/// Light ink on black, the darkest to the lightest over the whole range. The border is taken for the background: its
/// median for the level, the spread around it for noise that is no ink.
fn ink(picture: &GrayImage) -> GrayImage {
    let mut border = border(picture);
    let level = median(&mut border);
    let above_level = |value: u8| match level > 127 {
        true => level.saturating_sub(value),
        false => value.saturating_sub(level),
    };
    let mut spread: Vec<u8> = border.iter().map(|&value| above_level(value)).collect();
    spread.sort_unstable();
    let noise = spread[spread.len() * 9 / 10];
    let above_noise = |value: u8| above_level(value).saturating_sub(noise);
    let peak = picture.pixels().map(|pixel| above_noise(pixel.0[0])).max().unwrap_or(0);
    let stretched = |value: u8| match peak < MIN_CONTRAST {
        true => 0,
        false => stretch(above_noise(value), peak),
    };
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| Luma([stretched(picture.get_pixel(x, y).0[0])]))
}

fn stretch(value: u8, peak: u8) -> u8 {
    (u32::from(value) * 255 / u32::from(peak)) as u8
}

fn border(picture: &GrayImage) -> Vec<u8> {
    let (width, height) = picture.dimensions();
    let edge = |x: u32, y: u32| x == 0 || y == 0 || x + 1 == width || y + 1 == height;
    picture.enumerate_pixels().filter(|&(x, y, _)| edge(x, y)).map(|(_, _, pixel)| pixel.0[0]).collect()
}

fn median(values: &mut [u8]) -> u8 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// The smallest rectangle with all the ink, if there is any.
fn crop(ink: &GrayImage) -> Option<GrayImage> {
    let inked = || ink.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] > 0);
    let (left, right) = (inked().map(|(x, _, _)| x).min()?, inked().map(|(x, _, _)| x).max()?);
    let (top, bottom) = (inked().map(|(_, y, _)| y).min()?, inked().map(|(_, y, _)| y).max()?);
    Some(imageops::crop_imm(ink, left, top, right - left + 1, bottom - top + 1).to_image())
}

/// The digit with its longer side 20 pixels, and its lightest pixel white again.
fn fit(digit: &GrayImage) -> GrayImage {
    let (width, height) = digit.dimensions();
    let longer = width.max(height);
    if longer == BOX {
        return digit.clone();
    }
    let scaled = |side: u32| ((side * BOX + longer / 2) / longer).max(1);
    let mut fitted = imageops::resize(digit, scaled(width), scaled(height), FilterType::Triangle);
    let peak = fitted.pixels().map(|pixel| pixel.0[0]).max().unwrap_or(0).max(1);
    for pixel in fitted.pixels_mut() {
        pixel.0[0] = stretch(pixel.0[0], peak);
    }
    fitted
}

/// The digit in 28 × 28 with its centre of mass in the middle, as far as that keeps all of it inside.
fn centre(digit: &GrayImage) -> Vec<u8> {
    let mass: f64 = digit.pixels().map(|pixel| f64::from(pixel.0[0])).sum();
    let moment = |along: fn(u32, u32) -> u32| -> f64 {
        let weighted = digit.enumerate_pixels().map(|(x, y, pixel)| f64::from(along(x, y)) * f64::from(pixel.0[0]));
        weighted.sum::<f64>() / mass
    };
    // MNIST has it at pixel 14, not at the corner between 13 and 14: the centres of its images lie within 13.5 to 14.5.
    let middle = (SIDE / 2) as f64;
    let offset = |centre: f64, len: u32| {
        let room = SIDE - len as usize;
        (middle - centre).round().clamp(0.0, room as f64) as usize
    };
    let left = offset(moment(|x, _| x), digit.width());
    let top = offset(moment(|_, y| y), digit.height());
    let mut canvas = vec![0; SIDE * SIDE];
    for (x, y, pixel) in digit.enumerate_pixels() {
        canvas[(top + y as usize) * SIDE + left + x as usize] = pixel.0[0];
    }
    canvas
}

#[cfg(test)]
mod tests;
