//! The plot: calls per second over clients, a line for each kind of call, as SVG.
//!
//! It has its own background, so that it can be read on a dark page as well.

use std::fmt::Write;

use crate::report::{Line, number};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;

/// The margins of the axes: from the left, from the top, from the right (for the lines' names), from the bottom.
const LEFT: f64 = 80.0;
const TOP: f64 = 50.0;
const RIGHT: f64 = 150.0;
const BOTTOM: f64 = 55.0;

/// One for each line; all differ in brightness too.
const COLOURS: [&str; 4] = ["#0b4f8a", "#d1495b", "#2a9d5c", "#8a6d00"];

/// How near two names may come, in pixels.
const NAME_HEIGHT: f64 = 16.0;

/// The lines as a picture. Each has a point for the same numbers of clients.
pub(crate) fn svg(title: &str, lines: &[Line]) -> String {
    let highest = lines.iter().flat_map(|line| &line.points).map(|(_, rate)| *rate);
    let plot = Plot {
        clients: lines.first().map_or(Vec::new(), clients),
        top: round_up(highest.fold(1.0, f64::max)),
    };
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#222222\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"16\">{title}</text>\n"
    );
    plot.axes(&mut text);
    let mut names = Vec::new();
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        plot.line(&mut text, line, colour);
        if let Some((_, last)) = line.points.last() {
            names.push((plot.y(*last), line.name.as_str(), *colour));
        }
    }
    plot.names(&mut text, names);
    text + "</svg>\n"
}

fn clients(line: &Line) -> Vec<usize> {
    line.points.iter().map(|(clients, _)| *clients).collect()
}

/// The smallest of some round numbers that is not below it.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0];
    steps.into_iter().map(|step| step * power).find(|step| value <= *step).unwrap_or(10.0 * power)
}

/// The scale of both axes.
struct Plot {
    clients: Vec<usize>,
    top: f64,
}

impl Plot {
    /// The numbers of clients are at equal distances.
    fn x(&self, index: usize) -> f64 {
        let steps = self.clients.len().saturating_sub(1).max(1);
        LEFT + (WIDTH - LEFT - RIGHT) * index as f64 / steps as f64
    }

    fn y(&self, rate: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - rate / self.top)
    }

    // Writing to memory does not fail, here and below.
    fn axes(&self, text: &mut String) {
        let end = WIDTH - RIGHT;
        for step in 0..=4 {
            let rate = self.top * f64::from(step) / 4.0;
            let (y, label) = (self.y(rate), number(rate.round()));
            let label = if step == 0 { "0".to_owned() } else { label };
            let _ = writeln!(
                text,
                "<path d=\"M{LEFT} {y:.1}H{end}\" stroke=\"#cccccc\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                y + 4.0,
            );
        }
        let base = HEIGHT - BOTTOM;
        for (index, clients) in self.clients.iter().enumerate() {
            let (x, y) = (self.x(index), base + 20.0);
            let _ = writeln!(
                text,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{clients}</text>"
            );
        }
        let (x, y) = ((LEFT + end) / 2.0, base + 42.0);
        let _ =
            writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">clients</text>");
    }

    fn line(&self, text: &mut String, line: &Line, colour: &str) {
        let places = line.points.iter().enumerate();
        let places: Vec<_> =
            places.map(|(index, (_, rate))| (self.x(index), self.y(*rate))).collect();
        let path: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        let _ = writeln!(
            text,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"/>"
        );
        for (x, y) in places {
            let _ =
                writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
        }
    }

    /// Each line's name at its end, moved down if the one above is too near.
    fn names(&self, text: &mut String, mut names: Vec<(f64, &str, &str)>) {
        names.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        let (x, mut free) = (WIDTH - RIGHT + 12.0, 0.0_f64);
        for (y, name, colour) in names {
            let y = free.max(y + 4.0);
            free = y + NAME_HEIGHT;
            let _ = writeln!(text, "<text x=\"{x}\" y=\"{y:.1}\" fill=\"{colour}\">{name}</text>");
        }
    }
}
