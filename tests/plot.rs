//! Figures: what is in them, and what cannot be drawn.
//!
//! With `PEDESIS_FIGURES=DIR` the figures are saved there, to be looked at.

use std::path::Path;

use nalgebra::{Point3, Vector3};
use ndarray::Array3;
use pedesis::images::Images;
use pedesis::model::{self, CompareOptions, TraceOptions};
use pedesis::plot::{
    self, Curve, Error, Figure, ImagesOptions, LinesOptions, LocalResolutionPlot, PanelsOptions, SlicesOptions,
};
use pedesis::random;
use pedesis::structure::{Atom, Structure, bundled};
use pedesis::task::Task;
use pedesis::volume::{
    CorrectedFsc, Fsc, FscOptions, LocalResolutionOptions, Volume, density_of_atoms, local_resolution,
};
use rand::RngExt;
use rand_distr::StandardNormal;

/// Keeps a figure for the eye, if asked to, and checks that its file holds its pixels.
fn keep(figure: &Figure, name: &str) {
    let png = figure.to_png().unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), figure.size());
    let pixels: Vec<u8> = match info.color_type {
        png::ColorType::Grayscale => pixels.into_iter().flat_map(|level| [level; 3]).collect(),
        _ => pixels,
    };
    assert!(pixels == figure.pixels(), "{name}: the file has other pixels");
    if let Some(folder) = std::env::var_os("PEDESIS_FIGURES") {
        figure.save(&Path::new(&folder).join(name)).unwrap();
    }
}

/// Number of pixels of exactly this colour.
fn count(figure: &Figure, color: [u8; 3]) -> usize {
    figure.pixels().chunks(3).filter(|pixel| **pixel == color).count()
}

const BLUE: [u8; 3] = [0, 114, 178];
const ORANGE: [u8; 3] = [230, 130, 0];
const RED: [u8; 3] = [213, 0, 50];

/// The bundled particle as a density with a little noise.
fn density(truth: &Structure, noise: f32) -> Volume {
    let weight = |atom: &Atom| if atom.element.atomic_number() > 40 { 1.0 } else { 0.4 };
    let atoms: Vec<_> = truth.atoms().iter().map(|atom| (atom.position, weight(atom))).collect();
    let volume = density_of_atoms(&atoms, 0.45, 64, 0.4);
    let mut rng = random::stream(1, "plot test", 0);
    let noisy = volume.data().mapv(|value| value + noise * rng.sample::<f32, _>(StandardNormal));
    Volume::new(noisy, 0.4)
}

fn trace(volume: &Volume) -> model::Model {
    let species = vec!["Fe".parse().unwrap(), "Pt".parse().unwrap()];
    model::trace(volume, &TraceOptions { species, ..TraceOptions::default() }, &Task::silent()).unwrap()
}

#[test]
fn images_are_tiled_with_numbers_and_a_scale_bar() {
    let truth = bundled("fept_1.5nm").unwrap();
    let projection = density(&truth, 0.1).data().sum_axis(ndarray::Axis(0));
    let stack = Array3::from_shape_fn(
        (20, 64, 64),
        |(i, y, x)| if i % 2 == 0 { projection[[y, x]] } else { projection[[x, y]] },
    );
    let figure = plot::images(&Images::new(stack, 0.4), &ImagesOptions::default()).unwrap();
    keep(&figure, "images.png");
    assert!(figure.title().starts_with("12 of 20 images, 64 × 64 pixels of 0.4 Å"));
    let last = ImagesOptions { first: 18, ..ImagesOptions::default() };
    let figure = plot::images(&Images::new(Array3::zeros((20, 8, 8)), 1.0), &last).unwrap();
    assert!(figure.title().starts_with("2 of 20"));
}

#[test]
fn slices_show_the_density_with_axes_in_angstrom() {
    let truth = bundled("fept_1.5nm").unwrap();
    let volume = density(&truth, 0.02);
    keep(&plot::slices(&volume, &SlicesOptions::default()).unwrap(), "slices.png");
    // an atom at the centre of the +x half is bright in the right half of the first panel only
    let one = density_of_atoms(&[(Point3::new(4.0, 0.0, 0.0), 1.0)], 0.8, 40, 0.5);
    let figure =
        plot::slices(&one, &SlicesOptions { width: Some(16.0), at: Some([0.0; 3]), ..SlicesOptions::default() })
            .unwrap();
    let (width, _) = figure.size();
    let level = |x: u32, y: u32| figure.pixels()[((y * width + x) * 3) as usize];
    let bright: Vec<(u32, u32)> =
        (140..610).flat_map(|x| (140..610).map(move |y| (x, y))).filter(|&(x, y)| level(x, y) > 200).collect();
    let left = bright.iter().filter(|(x, _)| *x < 375).count();
    assert!(bright.len() > 500 && left == 0, "{left} of {} bright pixels on the left", bright.len());
}

#[test]
fn correlation_is_marked_where_it_falls_through_the_thresholds() {
    let frequencies: Vec<f64> = (0..60).map(|i| f64::from(i) / 60.0).collect();
    let falling = |at: f64| frequencies.iter().map(|s| 1.0 / (1.0 + ((s - at) / 0.06).exp())).collect();
    let one = Fsc { frequencies: frequencies.clone(), correlations: falling(0.6) };
    let two = Fsc { frequencies: frequencies.clone(), correlations: falling(0.4) };
    let figure = plot::fsc(&[(String::new(), one.clone())], "").unwrap();
    keep(&figure, "fsc.png");
    assert!(count(&figure, BLUE) > 1000);
    let figure = plot::fsc(&[("even against odd".into(), one), ("against the truth".into(), two)], "Two").unwrap();
    keep(&figure, "fsc_two.png");
    assert!(count(&figure, BLUE) > 1000 && count(&figure, ORANGE) > 1000);
}

/// Two halves of the bundled particle with white noise, more of it where x > 0.
fn uneven_halves() -> [Volume; 2] {
    let clean = density(&bundled("fept_1.5nm").unwrap(), 0.0);
    [1, 2].map(|half| {
        let mut rng = random::stream(2, "plot test halves", half);
        let mut data = clean.data().clone();
        for ((.., x), value) in data.indexed_iter_mut() {
            *value += if x < 32 { 0.05 } else { 0.2 } * rng.sample::<f32, _>(StandardNormal);
        }
        Volume::new(data, 0.4)
    })
}

#[test]
fn a_corrected_correlation_shows_its_parts() {
    let [a, b] = uneven_halves();
    let options = FscOptions { radius: Some(9.0), edge: 1.0, ..FscOptions::default() };
    let fsc = CorrectedFsc::between(&a, &b, &options).unwrap();
    let figure = plot::corrected_fsc(&fsc, "").unwrap();
    keep(&figure, "fsc_corrected.png");
    for color in [BLUE, ORANGE, [0, 158, 115], [204, 121, 167]] {
        assert!(count(&figure, color) > 500, "{color:?}");
    }
}

#[test]
fn local_resolution_is_drawn_in_colour_within_the_particle() {
    let [a, b] = uneven_halves();
    let options = LocalResolutionOptions { window: Some(6.0), ..LocalResolutionOptions::default() };
    let map = local_resolution(&a, &b, &options, &Task::silent()).unwrap();
    let options = LocalResolutionPlot { radius: Some(8.5), range: Some([1.0, 3.0]), ..LocalResolutionPlot::default() };
    let figure = plot::local_resolution(&map, &options).unwrap();
    keep(&figure, "local_resolution.png");
    // dark violet is fine, yellow is coarse: the left of the first panel is darker than its right
    let (width, _) = figure.size();
    let brightness = |columns: std::ops::Range<u32>| -> u64 {
        let rows = 290..410;
        let pixels = rows.flat_map(|y| columns.clone().map(move |x| ((y * width + x) * 3) as usize));
        pixels.map(|at| figure.pixels()[at..at + 3].iter().map(|&v| u64::from(v)).sum::<u64>()).sum()
    };
    let pixels = 120 * 60;
    assert!(brightness(205..265) + 30 * pixels < brightness(400..460));
    for options in [
        LocalResolutionPlot { radius: Some(-1.0), ..LocalResolutionPlot::default() },
        LocalResolutionPlot { range: Some([3.0, 1.0]), ..LocalResolutionPlot::default() },
    ] {
        assert!(matches!(plot::local_resolution(&map, &options), Err(Error::OutOfRange { .. })));
    }
}

#[test]
fn intensities_are_coloured_by_element_with_noise_and_cut() {
    let truth = bundled("fept_1.5nm").unwrap();
    let model = trace(&density(&truth, 0.03));
    let figure = plot::radial_intensity(&model).unwrap();
    keep(&figure, "intensity.png");
    assert!(count(&figure, RED) > 500, "the noise cut is missing");
}

#[test]
fn faults_are_marked_on_the_atoms() {
    let truth = bundled("fept_1.5nm").unwrap();
    let model = trace(&density(&truth, 0.02));
    let compare =
        |found: &Structure| model::compare(found, &truth, &CompareOptions::default(), &Task::silent()).unwrap();
    let clean = model.structure();
    let figure = plot::against_truth(&clean, &truth, &compare(&clean)).unwrap();
    keep(&figure, "atoms.png");
    assert_eq!(count(&figure, RED), 0);
    assert!(count(&figure, BLUE) > 10_000 && count(&figure, ORANGE) > 10_000);

    let mut atoms = clean.atoms().to_vec();
    atoms.truncate(atoms.len() - 4);
    atoms[5].element = if atoms[5].element.symbol() == "Fe" { "Pt" } else { "Fe" }.parse().unwrap();
    atoms.push(Atom { position: Point3::from(Vector3::new(0.0, 0.0, 11.0)), ..atoms[0] });
    let faulty = Structure::new("faulty", atoms);
    let figure = plot::against_truth(&faulty, &truth, &compare(&faulty)).unwrap();
    keep(&figure, "atoms_faulty.png");
    assert!(count(&figure, RED) > 1000);
    let other = compare(&clean);
    assert!(matches!(
        plot::against_truth(&Structure::new("one", vec![]), &truth, &other),
        Err(Error::OtherStructures { .. })
    ));
}

/// The points of each line of an SVG file that is as thick as a curve.
fn drawn_curves(svg: &str) -> Vec<Vec<[f64; 2]>> {
    let lines = svg.lines().filter(|line| line.starts_with("<polyline") && line.contains("stroke-width=\"5\""));
    let points = |line: &str| -> Vec<[f64; 2]> {
        let list = line.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let point = |pair: &str| {
            let (x, y) = pair.split_once(',').unwrap();
            [x.parse().unwrap(), y.parse().unwrap()]
        };
        list.split(' ').map(point).collect()
    };
    lines.map(points).collect()
}

#[test]
fn a_power_law_is_straight_on_logarithmic_axes_and_errors_are_bars() {
    let x: Vec<f64> = (0..9).map(|i| 0.1 * 10f64.powf(0.25 * f64::from(i))).collect();
    let y: Vec<f64> = x.iter().map(|x| 3.0 / x.sqrt()).collect();
    let error: Vec<f64> = y.iter().enumerate().map(|(i, y)| if i < 4 { 0.3 * y } else { 0.0 }).collect();
    let curve = Curve { label: "measured & <fitted>".into(), x, y, error };
    let options = LinesOptions {
        title: "Noise".into(),
        x_label: "SNR".into(),
        y_label: "RMSD [pm]".into(),
        points: true,
        x_log: true,
        y_log: true,
    };
    let figure = plot::lines(std::slice::from_ref(&curve), &options).unwrap();
    keep(&figure, "log.png");
    let svg = figure.to_svg().unwrap();
    let curves = drawn_curves(&svg);
    let [line] = &curves[..] else { panic!("one curve: {curves:?}") };
    let [first, last] = [line[0], line[8]];
    for (i, point) in line.iter().enumerate() {
        let along = i as f64 / 8.0;
        for axis in [0, 1] {
            let straight = first[axis] + along * (last[axis] - first[axis]);
            assert!((point[axis] - straight).abs() <= 1.0, "{line:?}");
        }
    }
    let caps = svg.lines().filter(|line| line.starts_with("<polyline") && line.contains("stroke-width=\"3\"")).count();
    assert_eq!(caps, 3 * 4, "a bar is a line and two ends");
    for words in
        [">measured &amp; &lt;fitted&gt;</text>", ">SNR</text>", ">RMSD [pm]</text>", ">0.1</text>", ">10</text>"]
    {
        assert!(svg.contains(words), "{words} is missing");
    }
    let zero = Curve { y: vec![0.0; 9], error: Vec::new(), ..curve.clone() };
    let message = plot::lines(&[zero], &options).unwrap_err().to_string();
    assert_eq!(message, "a logarithmic y axis cannot show 0; leave it out, or leave out y_log");
    let few = Curve { error: vec![1.0], ..curve };
    assert!(plot::lines(&[few], &options).unwrap_err().to_string().contains("9 x values and 1 errors"));
}

#[test]
fn the_smallest_numbers_have_logarithmic_axes() {
    for y in [vec![1e-310, 1.0], vec![1e-220, 1e-220], vec![1e300, 1e307]] {
        let curve = Curve { label: "a\u{2}".into(), x: vec![1.0, 2.0], y, error: Vec::new() };
        let options = LinesOptions { y_log: true, title: "b\u{2}".into(), ..LinesOptions::default() };
        let svg = plot::lines(&[curve], &options).unwrap().to_svg().unwrap();
        assert!(!svg.contains('\u{2}') && svg.contains("b\u{fffd}"), "XML holds no control characters");
    }
}

#[test]
fn images_are_inside_of_svg_files() {
    let figure = plot::slices(&density(&bundled("fept_1.5nm").unwrap(), 0.02), &SlicesOptions::default()).unwrap();
    let svg = figure.to_svg().unwrap();
    assert!(svg.matches("href=\"data:image/png;base64,").count() >= 4 && svg.ends_with("</svg>\n"));
    assert!(svg.len() < 2_000_000, "{} bytes", svg.len());
    let folder = tempfile::tempdir().unwrap();
    figure.save(&folder.path().join("slices.svg")).unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("slices.svg")).unwrap(), svg);
    if let Some(folder) = std::env::var_os("PEDESIS_FIGURES") {
        figure.save(&Path::new(&folder).join("slices.svg")).unwrap();
    }
}

#[test]
fn panels_stand_in_rows_and_columns_under_their_letters() {
    let curve = |slope: f64| Curve { label: String::new(), x: vec![0.0, 1.0], y: vec![0.0, slope], error: Vec::new() };
    let panel = |slope| plot::lines(&[curve(slope)], &LinesOptions::default()).unwrap();
    let rows = [vec![panel(1.0), panel(-1.0)], vec![panel(2.0)]];
    let options = PanelsOptions { title: "Slopes".into(), ..PanelsOptions::default() };
    let figure = plot::panels(&rows, &options).unwrap();
    keep(&figure, "panels.png");
    let (width, height) = rows[0][0].size();
    assert_eq!(figure.size(), (2 * width + 30, 70 + 2 * height + 30));
    // below the strips with the letters all is as in the panels
    let row = |figure: &Figure, x: u32, y: u32| {
        let start = 3 * (y * figure.size().0 + x) as usize;
        figure.pixels()[start..start + 3 * width as usize].to_vec()
    };
    for y in 70..height {
        assert!(row(&figure, 0, 70 + y) == row(&rows[0][0], 0, y));
        assert!(row(&figure, width + 30, 70 + y) == row(&rows[0][1], 0, y));
        assert!(row(&figure, 0, 100 + height + y) == row(&rows[1][0], 0, y));
    }
    let svg = figure.to_svg().unwrap();
    assert_eq!(drawn_curves(&svg).len(), 3);
    assert!(["a", "b", "c"].iter().all(|letter| svg.contains(&format!(">{letter}</text>"))));
    let bare = PanelsOptions { letters: false, ..PanelsOptions::default() };
    assert!(!plot::panels(&rows, &bare).unwrap().to_svg().unwrap().contains(">a</text>"));
    assert!(matches!(plot::panels(&[Vec::new()], &bare), Err(Error::Empty(_))));
    assert!(plot::panels(&[vec![panel(1.0); 11]], &bare).unwrap_err().to_string().contains("take fewer panels"));
}

#[test]
fn curves_share_axes_and_a_legend() {
    let x: Vec<f64> = (0..50).map(|i| f64::from(i) * 0.2).collect();
    let curve = |label: &str, f: fn(&f64) -> f64| Curve {
        label: label.into(),
        x: x.clone(),
        y: x.iter().map(f).collect(),
        error: Vec::new(),
    };
    let options = LinesOptions {
        title: "Damped and growing".into(),
        x_label: "time [s]".into(),
        y_label: "signal [a.u.]".into(),
        points: true,
        ..LinesOptions::default()
    };
    let figure = plot::lines(&[curve("damped", |x| (-x).exp()), curve("σ² of x", |x| x / 10.0)], &options).unwrap();
    keep(&figure, "lines.png");
    assert!(count(&figure, BLUE) > 500 && count(&figure, ORANGE) > 500);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let nothing = Images::new(Array3::zeros((0, 8, 8)), 1.0);
    assert!(matches!(plot::images(&nothing, &ImagesOptions::default()), Err(Error::Empty(_))));
    let mut bad = Array3::zeros((2, 8, 8));
    bad[[1, 2, 3]] = f32::NAN;
    assert!(matches!(plot::images(&Images::new(bad, 1.0), &ImagesOptions::default()), Err(Error::NotFinite(_))));
    let flat = Volume::new(Array3::zeros((8, 8, 8)), 1.0);
    assert!(plot::slices(&flat, &SlicesOptions::default()).is_ok());
    let narrow = SlicesOptions { width: Some(-3.0), ..SlicesOptions::default() };
    assert!(matches!(plot::slices(&flat, &narrow), Err(Error::OutOfRange { .. })));
    let outside = SlicesOptions { at: Some([0.0, 0.0, 99.0]), ..SlicesOptions::default() };
    assert!(matches!(plot::slices(&flat, &outside), Err(Error::OutOfRange { name: "at", .. })));
    assert!(matches!(plot::fsc(&[], ""), Err(Error::Empty(_))));
    assert!(matches!(plot::lines(&[], &LinesOptions::default()), Err(Error::Empty(_))));
    let uneven = Curve { label: "a".into(), x: vec![1.0, 2.0], y: vec![1.0], error: Vec::new() };
    assert!(matches!(plot::lines(&[uneven], &LinesOptions::default()), Err(Error::Lengths { .. })));
    let endless = Curve { label: "a".into(), x: vec![1.0], y: vec![f64::INFINITY], error: Vec::new() };
    assert!(matches!(plot::lines(&[endless], &LinesOptions::default()), Err(Error::NotFinite(_))));
    let empty = Structure::new("empty", vec![]);
    let comparison = model::compare(&empty, &empty, &CompareOptions::default(), &Task::silent()).unwrap();
    assert!(matches!(plot::against_truth(&empty, &empty, &comparison), Err(Error::Empty(_))));
}

#[test]
fn a_figure_is_saved_whole_or_not_at_all() {
    let point = Curve { label: String::new(), x: vec![1.0], y: vec![2.0], error: Vec::new() };
    let figure = plot::lines(&[point], &LinesOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    figure.save(&folder.path().join("a.png")).unwrap();
    assert_eq!(std::fs::read(folder.path().join("a.png")).unwrap(), figure.to_png().unwrap());
    assert!(matches!(figure.save(&folder.path().join("a.jpg")), Err(Error::NotAFigure(_))));
    assert!(figure.save(&folder.path().join("missing/a.png")).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "something was left behind");
}
