//! The outcome as a picture: for each attack a bar behind each layer, as long as the logarithm of its SMS.

use std::fmt::Write;

use super::{Layer, Row};

const COLOURS: [&str; 3] = ["#b0b0b0", "#6aa6d6", "#1f5f99"];
/// Pixels: where bars begin, a tenfold, a bar's height, the distance between attacks, and the legend's height.
const LEFT: u32 = 250;
const SCALE: f64 = 110.0;
const BAR: u32 = 14;
const GAP: u32 = 16;
const TOP: u32 = 40;

/// An SVG, which follows the reader's light or dark background.
pub fn plot(rows: &[Row]) -> String {
    let mut drawing = String::new();
    let mut y = TOP;
    for Row { attack, outcomes } in rows {
        let middle = y + BAR * 3 / 2 + 4;
        let _ = write!(drawing, r#"<text x="{}" y="{middle}" text-anchor="end">{}</text>"#, LEFT - 8, attack.name());
        for (outcome, colour) in outcomes.iter().zip(COLOURS) {
            let width = (f64::from(outcome.sent) + 1.0).log10() * SCALE;
            let height = BAR - 2;
            let _ =
                write!(drawing, r#"<rect x="{LEFT}" y="{y}" width="{width:.0}" height="{height}" fill="{colour}"/>"#);
            let (x, base) = (f64::from(LEFT) + width + 4.0, y + BAR - 4);
            let _ = write!(drawing, r#"<text x="{x:.0}" y="{base}" font-size="10">{}</text>"#, outcome.sent);
            y += BAR;
        }
        y += GAP;
    }
    let mut legend = String::new();
    for (index, (layer, colour)) in Layer::ALL.iter().zip(COLOURS).enumerate() {
        let x = LEFT as usize + index * 150;
        let _ = write!(legend, r#"<rect x="{x}" y="10" width="12" height="12" fill="{colour}"/>"#);
        let _ = write!(legend, r#"<text x="{}" y="20">{}</text>"#, x + 18, layer.name());
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {y}" font-family="sans-serif" font-size="12" fill="gray">
<title>SMS to attackers in a day, by what stands between them and the gateway; logarithmic</title>
{legend}{drawing}
</svg>
"#
    )
}
