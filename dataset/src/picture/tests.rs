use image::{ImageFormat, Rgba, RgbaImage};

use super::*;
use crate::mnist::MnistFile;
use crate::tests::mnist_dir;

fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).expect("memory takes it");
    bytes
}

/// A seven in strokes of a tenth of the height.
fn seven(width: u32, height: u32, ground: [u8; 4], ink: [u8; 4]) -> DynamicImage {
    let picture = RgbaImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x) / f64::from(height), f64::from(y) / f64::from(height));
        let bar = (0.2..0.3).contains(&y) && (0.2..0.7).contains(&x);
        let leg = (0.2..0.8).contains(&y) && (x - (0.7 - (y - 0.2) / 2.0)).abs() < 0.05;
        Rgba(if bar || leg { ink } else { ground })
    });
    picture.into()
}

const BLACK: [u8; 4] = [0, 0, 0, 255];
const WHITE: [u8; 4] = [255, 255, 255, 255];
const GREY: [u8; 4] = [90, 90, 90, 255];
const PAPER: [u8; 4] = [230, 225, 210, 255];
const BLUE: [u8; 4] = [30, 40, 160, 255];
const CLEAR: [u8; 4] = [255, 255, 255, 0];

fn draw(canvas: &[u8]) -> String {
    let row = |row: &[u8]| {
        row.iter().map(|&value| " .:*#"[usize::from(value) / 52..].chars().next().unwrap_or('#')).collect::<String>()
    };
    canvas.chunks(SIDE).map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn colours_sizes_and_formats_do_not_matter() {
    let expected = normalise(&file(&seven(280, 280, BLACK, WHITE), ImageFormat::Png)).expect("a digit");
    let cases = [
        ("dark on light", file(&seven(280, 280, WHITE, BLACK), ImageFormat::Png)),
        ("ink on paper", file(&seven(280, 280, PAPER, BLUE), ImageFormat::Png)),
        ("faint", file(&seven(280, 280, BLACK, GREY), ImageFormat::Png)),
        ("black on transparent", file(&seven(280, 280, CLEAR, BLACK), ImageFormat::Png)),
        ("white on transparent", file(&seven(280, 280, CLEAR, WHITE), ImageFormat::Png)),
        ("small", file(&seven(140, 140, WHITE, BLACK), ImageFormat::Bmp)),
        ("large and wide", file(&seven(1500, 900, WHITE, BLACK), ImageFormat::Png)),
        ("lossy", file(&DynamicImage::from(seven(280, 280, WHITE, BLACK).to_rgb8()), ImageFormat::Jpeg)),
    ];
    for (case, bytes) in cases {
        let found = normalise(&bytes).expect(case);
        let differing: u64 = found.iter().zip(&expected).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum();
        let mass: u64 = expected.iter().map(|&value| u64::from(value)).sum();
        assert!(differing * 10 < mass, "{case}: {differing} of {mass}\n{}\n{}", draw(&found), draw(&expected));
    }
}

#[test]
fn a_digit_fills_the_box_and_lies_in_the_middle() {
    let found = normalise(&file(&seven(400, 300, WHITE, BLACK), ImageFormat::Png)).expect("a digit");
    let rows: Vec<usize> = (0..SIDE).filter(|row| found[row * SIDE..(row + 1) * SIDE].iter().any(|&v| v > 0)).collect();
    assert_eq!(rows.last().expect("ink") - rows[0] + 1, 20, "{}", draw(&found));
    let mass: f64 = found.iter().map(|&value| f64::from(value)).sum();
    let (mut x, mut y) = (0.0, 0.0);
    for (index, &value) in found.iter().enumerate() {
        x += (index % SIDE) as f64 * f64::from(value) / mass;
        y += (index / SIDE) as f64 * f64::from(value) / mass;
    }
    assert!((x - 14.0).abs() <= 0.5 && (y - 14.0).abs() <= 0.5, "{x}, {y}\n{}", draw(&found));
    assert_eq!(found.iter().max(), Some(&255));
}

/// MNIST's images are prepared already, but that some have no pixel at 255. One whose centre of mass lies halfway
/// between two pixels may move by one.
#[test]
fn images_of_mnist_come_out_as_they_went_in() {
    let path = MnistFile::TestImages.locate(&mnist_dir()).expect("the checkout has MNIST");
    let pixels = MnistFile::TestImages.read(&path).expect("the checkout has MNIST");
    let same = |image: &&[u8]| {
        let picture = GrayImage::from_raw(SIDE as u32, SIDE as u32, image.to_vec()).expect("28 × 28");
        let found = normalise(&file(&picture.into(), ImageFormat::Png)).expect("a digit");
        found.iter().zip(image.iter()).all(|(a, b)| a.abs_diff(*b) <= 4)
    };
    let count = pixels.chunks(SIDE * SIDE).take(500).filter(same).count();
    assert!(count >= 495, "{count} of 500 are unchanged");
}

#[test]
fn what_shows_no_digit_is_refused() {
    let blank = seven(50, 40, WHITE, WHITE);
    let error = normalise(&file(&blank, ImageFormat::Png)).expect_err("it is blank");
    assert!(error.to_string().contains("50 × 40"), "{error}");
    assert!(matches!(normalise(b"no picture"), Err(PictureError::Unreadable(_))));
    assert!(matches!(normalise(&[]), Err(PictureError::Unreadable(_))));
    let png = file(&seven(50, 40, WHITE, BLACK), ImageFormat::Png);
    assert!(normalise(&png[..png.len() / 2]).is_err());
}
