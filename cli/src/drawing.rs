//! A digit in the terminal: two rows of pixels a line, in block characters that any monospaced font has.

/// Shades from paper to ink, for terminals' usual light on dark.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// Draws `side × side` grey pixels (0 is paper, 255 ink), row by row. Each character covers two rows, so that the
/// picture keeps its proportions.
///
/// # Panics
/// If there are not `side · side` pixels.
#[must_use]
pub(crate) fn draw(pixels: &[u8], side: usize) -> String {
    assert_eq!(pixels.len(), side * side, "a picture has side · side pixels");
    let mut text = String::with_capacity(side * side * 2);
    for rows in pixels.chunks(2 * side) {
        let (upper, lower) = rows.split_at(side);
        let line: String = (0..side).map(|x| shade(upper[x], lower.get(x).copied().unwrap_or(0))).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn shade(upper: u8, lower: u8) -> char {
    match (upper > 127, lower > 127) {
        (true, false) if lower < 64 => '▀',
        (false, true) if upper < 64 => '▄',
        (true | false, _) => {
            let mean = (usize::from(upper) + usize::from(lower)) / 2;
            SHADES[(mean * SHADES.len() / 256).min(SHADES.len() - 1)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_paper_and_edges_are_told_apart() {
        assert_eq!(draw(&[255, 0, 255, 0], 2), "█\n");
        assert_eq!(draw(&[255, 0, 0, 255], 2), "▀▄\n");
        assert_eq!(draw(&[0; 9], 3), "\n\n");
        assert_eq!(draw(&[0, 0, 0, 0, 0, 0, 255, 255, 255], 3), "\n▀▀▀\n");
    }
}
