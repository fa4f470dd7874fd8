//! Which peaks are atoms, and which element each atom is, by intensity alone.

use nalgebra::{Matrix4, Point3, Vector3, Vector4};

use super::trend::{Exposure, Trend, Variable};

/// The range of the noise cut, as parts of the bright peaks' intensity. A wider range would take the gap between two
/// elements (Fe is 0.33 of Pt in amplitude) for the gap above the noise.
const CUT_RANGE: (f64, f64) = (0.06, 0.38);
/// Peaks weaker than this part of the bright ones do not take part in saying how bright the bright ones are.
const FAINT: f64 = 0.25;
/// Declines of intensity from inside to surface that are tried, as parts of the intensity inside, and the step. Blurred
/// poses make the surface fainter, dynamical scattering makes it brighter (negative).
const TRENDS: (f64, f64) = (-1.0, 0.6);
const TREND_STEP: f64 = 0.01;
/// A trend counts if its log-likelihood gain exceeds ln n of n atoms, twice what Schwarz's criterion asks (Ann. Stat. 6 (1978) 461): classes that overlap seem
/// further apart with any trend.
const TREND_GAIN: f64 = 2.0;
/// A trend is fitted only from this many atoms a class on.
const ATOMS_FOR_TREND: usize = 12;

/// Intensity of the bright peaks: the 95th percentile of all that are not faint against it (zero without peaks).
pub(super) fn bright(intensities: &[f64]) -> f64 {
    let mut level = intensities.iter().copied().fold(0.0, f64::max);
    for _ in 0..8 {
        let strong: Vec<f64> = intensities.iter().copied().filter(|&value| value > FAINT * level).collect();
        level = percentile(strong, 0.95);
    }
    level
}

/// The middle (geometric mean) of the largest gap in log intensity between 6 and 38 % of the bright peaks.
pub(super) fn noise_cut(intensities: &[f64]) -> f64 {
    let level = bright(intensities);
    let (low, high) = (CUT_RANGE.0 * level, CUT_RANGE.1 * level);
    let mut inside: Vec<f64> = intensities.iter().copied().filter(|&value| value > low && value < high).collect();
    inside.extend([low, high]);
    inside.sort_by(f64::total_cmp);
    let gap = |pair: &[f64]| pair[1] / pair[0].max(f64::MIN_POSITIVE);
    let widest = inside.windows(2).max_by(|a, b| gap(a).total_cmp(&gap(b)));
    widest.map_or(0.0, |pair| (pair[0] * pair[1]).sqrt())
}

fn percentile(mut values: Vec<f64>, part: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    let position = part * (values.len() - 1) as f64;
    let (i, t) = (position as usize, position.fract());
    values[i] * (1.0 - t) + values[(i + 1).min(values.len() - 1)] * t
}

/// The indices of the largest group of points in which each is within `gap` \[Å\] of another, ascending.
pub(super) fn largest_cluster(points: &[Point3<f64>], gap: f64) -> Vec<usize> {
    let mut cluster = vec![usize::MAX; points.len()];
    let mut largest: Vec<usize> = Vec::new();
    for seed in 0..points.len() {
        if cluster[seed] != usize::MAX {
            continue;
        }
        cluster[seed] = seed;
        let mut members = vec![seed];
        let mut next = 0;
        while next < members.len() {
            let from = points[members[next]];
            next += 1;
            for other in 0..points.len() {
                if cluster[other] == usize::MAX && (points[other] - from).norm() <= gap {
                    cluster[other] = seed;
                    members.push(other);
                }
            }
        }
        if members.len() > largest.len() {
            largest = members;
        }
    }
    largest.sort_unstable();
    largest
}

/// Intensities divided into classes.
#[derive(Clone)]
pub(super) struct Partition {
    /// Class of each atom, 0 the faintest.
    pub classes: Vec<usize>,
    /// Intensity each atom would have if it were not exposed.
    pub corrected: Vec<f64>,
    pub trend: Trend,
    /// Part of the intensity gained from side to side, along a vector [1/Å].
    pub slope: Vector3<f64>,
}

impl Partition {
    /// Mean square deviation from the classes' means, over their mean intensity squared.
    fn spread(&self) -> f64 {
        let means = self.means();
        let square = |(value, &class): (&f64, &usize)| (value - means[class]).powi(2);
        let deviations: f64 = self.corrected.iter().zip(&self.classes).map(square).sum();
        deviations / self.corrected.iter().sum::<f64>().powi(2) * self.corrected.len() as f64
    }

    /// Mean corrected intensity of each class.
    fn means(&self) -> Vec<f64> {
        let count = self.classes.iter().max().map_or(0, |class| class + 1);
        let mut sums = vec![(0.0, 0.0); count];
        for (value, &class) in self.corrected.iter().zip(&self.classes) {
            sums[class] = (sums[class].0 + value, sums[class].1 + 1.0);
        }
        sums.into_iter().map(|(sum, count): (f64, f64)| sum / count.max(1.0)).collect()
    }
}

/// Steps of the alternation between classes and slope.
const SLOPE_STEPS: usize = 20;
/// A slope counts if it leaves less than this part of the spread within the classes: chance takes a little away, a true one most.
const SLOPE_LEAVES: f64 = 0.5;

/// As [`partition`], for atoms at `places` about the centre, with a slope of intensity from side to side where there clearly is one. Without `exposures` there is
/// neither trend nor slope.
///
/// Where a particle's symmetry lets poses choose, they choose what makes one side brighter: along the beam atoms lie at different defocus.
/// Found by turns with the classes, beginning from none.
pub(super) fn partition_on_slope(
    intensities: &[f64],
    places: &[Vector3<f64>],
    exposures: &[Exposure],
    k: usize,
    shares: Option<&[f64]>,
) -> Partition {
    let level = partition(intensities, exposures, k, shares);
    if exposures.is_empty() || intensities.len() < ATOMS_FOR_TREND * k {
        return level;
    }
    let mut sloping = level.clone();
    for _ in 0..SLOPE_STEPS {
        let slope = slope_of(&sloping, places);
        let levelled: Vec<f64> =
            intensities.iter().zip(places).map(|(value, place)| value / rise(&slope, place)).collect();
        let next = Partition { slope, ..partition(&levelled, exposures, k, shares) };
        let settled = next.classes == sloping.classes && (slope - sloping.slope).norm() < 1e-4;
        sloping = next;
        if settled {
            break;
        }
    }
    if sloping.spread() < SLOPE_LEAVES * level.spread() { sloping } else { level }
}

/// The factor by which a slope raises the intensity at a place; far out it is no straight line.
pub(super) fn rise(slope: &Vector3<f64>, place: &Vector3<f64>) -> f64 {
    (1.0 + slope.dot(place)).max(0.1)
}

/// The slope that the intensities, over their classes' means and the trend, have by least squares.
fn slope_of(partition: &Partition, places: &[Vector3<f64>]) -> Vector3<f64> {
    let means = partition.means();
    let (mut matrix, mut target) = (Matrix4::zeros(), Vector4::zeros());
    for (i, place) in places.iter().enumerate() {
        // what the corrected intensity would be without the slope taken off
        let relative = partition.corrected[i] * rise(&partition.slope, place) / means[partition.classes[i]];
        let row = Vector4::new(1.0, place.x, place.y, place.z);
        matrix += row * row.transpose();
        target += row * relative;
    }
    let fitted = matrix.lu().solve(&target).unwrap_or_else(|| Vector4::new(1.0, 0.0, 0.0, 0.0));
    Vector3::new(fitted.y, fitted.z, fitted.w) / fitted.x
}

/// A division into classes for one trend.
struct Attempt {
    /// Sum of squares that it leaves.
    left: f64,
    trend: Trend,
    decline: Vec<f64>,
    order: Vec<usize>,
    cuts: Vec<usize>,
}

impl Attempt {
    fn new(intensities: &[f64], exposure: &[f64], trend: Trend, k: usize, shares: Option<&[f64]>) -> Self {
        let decline: Vec<f64> = exposure.iter().map(|part| 1.0 - trend.amount * part).collect();
        let sorted = Sorted::new(intensities, &decline);
        let cuts = match shares {
            Some(shares) => sorted.cuts_by_share(shares),
            None => sorted.best_cuts(k),
        };
        let total: f64 = intensities.iter().map(|value| value * value).sum();
        Self { left: (total - sorted.explained(&cuts)).max(0.0), trend, decline, order: sorted.order, cuts }
    }

    /// The one of all amounts of a trend that leaves least.
    fn best(intensities: &[f64], exposure: &Exposure, k: usize, shares: Option<&[f64]>) -> Self {
        let parts = exposure.parts();
        let attempt = |step: i32| {
            let trend = Trend { variable: exposure.variable, amount: f64::from(step) * TREND_STEP };
            Self::new(intensities, &parts, trend, k, shares)
        };
        let step = |limit: f64| (limit / TREND_STEP).round() as i32;
        let better = |a: Self, b: Self| if b.left < a.left { b } else { a };
        (step(TRENDS.0)..=step(TRENDS.1)).map(attempt).fold(attempt(0), better)
    }

    /// Whether it explains so much more than another that this is no accident.
    fn is_clearly_better(&self, other: &Self) -> bool {
        let count = self.order.len() as f64;
        self.left <= other.left * (-TREND_GAIN * count.ln() / count).exp()
    }
}

/// Divides intensities into `k` (1 … 3) classes by least squares, aⱼ ≈ c_class·(1 − amount·exposureⱼ): Otsu's
/// criterion where the trend is zero, found exactly for every trend by going through all cuts of the sorted corrected intensities.
///
/// Of several `exposures` the first one counts unless another is clearly better; and none that is not clearly better than no trend.
/// `shares`, if given, are the parts of the classes from faint to bright and replace the cuts.
pub(super) fn partition(intensities: &[f64], exposures: &[Exposure], k: usize, shares: Option<&[f64]>) -> Partition {
    let none = Trend { variable: Variable::Radial, amount: 0.0 };
    let level = Attempt::new(intensities, &vec![0.0; intensities.len()], none, k, shares);
    let exposures = if intensities.len() < ATOMS_FOR_TREND * k { &[] } else { exposures };
    let mut attempts = exposures.iter().map(|exposure| Attempt::best(intensities, exposure, k, shares));
    let first = attempts.next();
    let others = attempts.reduce(|a, b| if b.left < a.left { b } else { a });
    let chosen = match (first, others) {
        (Some(first), Some(other)) if other.is_clearly_better(&first) => Some(other),
        (first, _) => first,
    };
    let Attempt { trend, decline, order, cuts, .. } =
        chosen.filter(|chosen| chosen.is_clearly_better(&level)).unwrap_or(level);
    let mut classes = vec![0; intensities.len()];
    for (rank, &atom) in order.iter().enumerate() {
        classes[atom] = cuts.iter().filter(|&&cut| rank >= cut).count();
    }
    let corrected = intensities.iter().zip(&decline).map(|(a, g)| a / g).collect();
    Partition { classes, corrected, trend, slope: Vector3::zeros() }
}

/// Atoms in order of corrected intensity a/g, with running sums of a·g and g².
struct Sorted {
    order: Vec<usize>,
    products: Vec<f64>,
    weights: Vec<f64>,
}

impl Sorted {
    fn new(intensities: &[f64], decline: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..intensities.len()).collect();
        order.sort_by(|&i, &j| (intensities[i] / decline[i]).total_cmp(&(intensities[j] / decline[j])));
        let running = |value: &dyn Fn(usize) -> f64| {
            let mut sums = vec![0.0];
            sums.extend(order.iter().scan(0.0, |sum, &i| {
                *sum += value(i);
                Some(*sum)
            }));
            sums
        };
        let products = running(&|i| intensities[i] * decline[i]);
        let weights = running(&|i| decline[i] * decline[i]);
        Self { order, products, weights }
    }

    /// Sum of squares that one class amplitude explains over the ranks `from..to`: (Σ a g)²/Σ g².
    fn segment(&self, from: usize, to: usize) -> f64 {
        (self.products[to] - self.products[from]).powi(2) / (self.weights[to] - self.weights[from]).max(1e-300)
    }

    fn explained(&self, cuts: &[usize]) -> f64 {
        let edges: Vec<usize> = std::iter::once(0).chain(cuts.iter().copied()).chain([self.order.len()]).collect();
        edges.windows(2).map(|edge| self.segment(edge[0], edge[1])).sum()
    }

    /// The ranks at which the second and third class begin, by exhaustive search.
    fn best_cuts(&self, k: usize) -> Vec<usize> {
        let n = self.order.len();
        let candidates: Box<dyn Iterator<Item = Vec<usize>>> = match k {
            1 => return Vec::new(),
            2 => Box::new((1..n).map(|i| vec![i])),
            _ => return self.best_two_cuts(),
        };
        let mut best = (f64::NEG_INFINITY, Vec::new());
        for cuts in candidates {
            let explained = self.explained(&cuts);
            if explained > best.0 {
                best = (explained, cuts);
            }
        }
        best.1
    }

    fn best_two_cuts(&self) -> Vec<usize> {
        let n = self.order.len();
        let mut best = (f64::NEG_INFINITY, 1, 2);
        for i in 1..n - 1 {
            let first = self.segment(0, i);
            for j in i + 1..n {
                let explained = first + self.segment(i, j) + self.segment(j, n);
                if explained > best.0 {
                    best = (explained, i, j);
                }
            }
        }
        vec![best.1, best.2]
    }

    fn cuts_by_share(&self, shares: &[f64]) -> Vec<usize> {
        let total: f64 = shares.iter().sum();
        let mut sum = 0.0;
        let mut cut = |share: &f64| {
            sum += share / total;
            (sum * self.order.len() as f64).round() as usize
        };
        shares[..shares.len() - 1].iter().map(&mut cut).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_falls_in_the_gap_above_the_noise_not_between_the_elements() {
        // noise below 0.12, iron at 0.33, platinum at 1: the gap from 0.33 to 1 is wider in intensity and out of range
        let mut intensities: Vec<f64> = (0..40).map(|i| 0.02 + 0.0025 * f64::from(i)).collect();
        intensities.extend((0..30).map(|i| 0.3 + 0.002 * f64::from(i)));
        intensities.extend((0..30).map(|i| 0.97 + 0.002 * f64::from(i)));
        let cut = noise_cut(&intensities);
        assert!(cut > 0.1195 && cut < 0.3, "{cut}");
    }

    #[test]
    fn one_outlier_does_not_say_how_bright_atoms_are() {
        let mut intensities = vec![1.0; 60];
        intensities.extend([0.01; 500]);
        intensities.push(3.0);
        assert_eq!(bright(&intensities), 1.0);
        assert_eq!(bright(&[]), 0.0);
    }

    #[test]
    fn the_largest_group_without_gaps_is_the_particle() {
        let at = |x: f64| Point3::new(x, 0.0, 0.0);
        let points = [at(20.0), at(0.0), at(3.0), at(23.0), at(6.0)];
        assert_eq!(largest_cluster(&points, 4.0), [1, 2, 4]);
        assert!(largest_cluster(&[], 4.0).is_empty());
    }

    #[test]
    fn a_slope_from_side_to_side_does_not_hide_the_elements() {
        let places: Vec<Vector3<f64>> = (0..6 * 6 * 6)
            .map(|i| Vector3::new((i % 6) as f64, (i / 6 % 6) as f64, (i / 36) as f64) * 3.0 - Vector3::repeat(7.5))
            .collect();
        let slope = Vector3::new(0.02, 0.0, -0.01);
        let truth: Vec<usize> = (0..places.len()).map(|i| (i + i / 6 + i / 36) % 2).collect();
        let intensities: Vec<f64> = places
            .iter()
            .zip(&truth)
            .map(|(place, &class)| (2.1 + 0.8 * class as f64) * (1.0 + slope.dot(place)))
            .collect();
        let radial = [Exposure {
            variable: Variable::Radial,
            values: places.iter().map(Vector3::norm).collect(),
            largest: 7.5 * 3.0_f64.sqrt(),
        }];
        let found = partition_on_slope(&intensities, &places, &radial, 2, None);
        assert_eq!(found.classes, truth);
        assert!((found.slope - slope).norm() < 1e-3, "{}", found.slope);
        // elements that differ from side to side are no slope
        let sides: Vec<f64> = places.iter().map(|place| if place.x > 0.0 { 1.0 } else { 0.5 }).collect();
        assert_eq!(partition_on_slope(&sides, &places, &radial, 2, None).slope, Vector3::zeros());
    }

    #[test]
    fn classes_are_those_of_the_least_sum_of_squares() {
        let intensities = [1.0, 5.1, 1.1, 5.0, 0.9, 9.0, 5.2, 9.1];
        assert_eq!(partition(&intensities, &[], 3, None).classes, [0, 1, 0, 1, 0, 2, 1, 2]);
        assert_eq!(partition(&intensities, &[], 1, None).classes, [0; 8]);
        let halves = partition(&intensities, &[], 2, Some(&[1.0, 1.0]));
        assert_eq!(halves.classes, [0, 1, 0, 0, 0, 1, 1, 1]);
    }
}
