//! The outcome as a picture: for each attack a bar behind each layer, as long as the logarithm of
//! its SMS.

use std::fmt::Write;

use super::{Layer, Row};

/// Pixels: where bars begin, a tenfold, a bar's height, the distance between attacks, the legend's
/// height, and the distance between its components.
const LEFT: u32 = 250;
const SCALE: f64 = 110.0;
const BAR: u32 = 13;
const GAP: u32 = 16;
const TOP: u32 = 40;
const LEGEND: usize = 128;

fn colour(layer: Layer) -> &'static str {
    match layer {
        Layer::Cooldown => "#b0b0b0",
        Layer::Limits => "#8ec1e6",
        Layer::ConversionGuard => "#4a90c8",
        Layer::Challenge => "#1f5f99",
        Layer::Solved => "#d08a3a",
        Layer::Budget => "#7a4fa3",
    }
}

/// An SVG, which follows the reader's light or dark background.
pub fn plot(rows: &[Row]) -> String {
    let mut drawing = String::new();
    let mut y = TOP;
    for Row { attack, outcomes } in rows {
        let middle = y + BAR * u32::try_from(outcomes.len()).unwrap_or(0) / 2 + 4;
        let _ = write!(
            drawing,
            r#"<text x="{}" y="{middle}" text-anchor="end">{}</text>"#,
            LEFT - 8,
            attack.name()
        );
        for (layer, outcome) in outcomes {
            let (width, colour) = ((f64::from(outcome.sent) + 1.0).log10() * SCALE, colour(*layer));
            let height = BAR - 2;
            let _ = write!(
                drawing,
                r#"<rect x="{LEFT}" y="{y}" width="{width:.0}" height="{height}" fill="{colour}"/>"#
            );
            let (x, base) = (f64::from(LEFT) + width + 4.0, y + BAR - 3);
            let _ = write!(
                drawing,
                r#"<text x="{x:.0}" y="{base}" font-size="10">{}</text>"#,
                outcome.sent
            );
            y += BAR;
        }
        y += GAP;
    }
    let mut legend = String::new();
    for (index, (layer, _)) in
        rows.first().map(|row| row.outcomes.iter()).into_iter().flatten().enumerate()
    {
        let x = 20 + index * LEGEND;
        let _ = write!(
            legend,
            r#"<rect x="{x}" y="10" width="12" height="12" fill="{}"/>"#,
            colour(*layer)
        );
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
