//! Bar charts as SVG.

use std::fmt::Write as _;

const ROW: usize = 18;
const LABELS: f64 = 420.0;
const BARS: f64 = 500.0;
const WIDTH: usize = 1000;
const COLOURS: [&str; 5] = ["#1b6ca8", "#d97a25", "#6fb1d8", "#f0b77f", "#777777"];

/// One bar for each workload and peer.
pub struct Bars {
    title: String,
    rows: Vec<(String, String, f64)>,
}

impl Bars {
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), rows: Vec::new() }
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn bar(&mut self, workload: &str, who: &str, value: f64) {
        self.rows.push((workload.to_owned(), who.to_owned(), value));
    }

    /// Each peer has a colour of its own; the longest bar is the largest value.
    pub fn svg(&self) -> String {
        let largest = self.rows.iter().map(|row| row.2).fold(f64::MIN_POSITIVE, f64::max);
        let mut peers: Vec<&str> = Vec::new();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" y=\"22\" font-size=\"15\">{}</text>\n",
            (self.rows.len() + 3) * ROW,
            escaped(&self.title)
        );
        for (i, (workload, who, value)) in self.rows.iter().enumerate() {
            let top = (i + 2) * ROW;
            let at = peers.iter().position(|peer| peer == who).unwrap_or_else(|| {
                peers.push(who);
                peers.len() - 1
            });
            let (colour, length) = (COLOURS[at % COLOURS.len()], BARS * value / largest);
            let (text, bar) = (top + 13, top + 2);
            let _ = writeln!(
                svg,
                "<text x=\"10\" y=\"{text}\">{}: {}</text><rect x=\"{LABELS}\" y=\"{bar}\" width=\"{length:.1}\" height=\"{}\" \
                 fill=\"{colour}\"/><text x=\"{:.0}\" y=\"{text}\">{}</text>",
                escaped(workload),
                escaped(who),
                ROW - 4,
                LABELS + length + 6.0,
                if *value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
