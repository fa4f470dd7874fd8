//! Comparing structures, against brute force that shares no code with the search.

use std::time::Instant;

use nalgebra::{Matrix3, Matrix4, Point3, Quaternion, UnitQuaternion, Vector3};
use pedesis::model::{CompareOptions, Comparison, compare};
use pedesis::random;
use pedesis::structure::{Atom, Element, Structure, bundled};
use pedesis::task::Task;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const TOLERANCE: f64 = 0.7;

/// A machine that does other things at the same time takes this many times longer.
const BUSY: f64 = 5.0;

fn atom(symbol: &str, position: Vector3<f64>) -> Atom {
    Atom { element: symbol.parse::<Element>().unwrap(), position: Point3::from(position) }
}

fn structure(atoms: Vec<Atom>) -> Structure {
    Structure::new("test", atoms)
}

fn run(found: &Structure, truth: &Structure) -> Comparison {
    compare(found, truth, &CompareOptions::default(), &Task::silent()).unwrap()
}

fn normal_vector(rng: &mut ChaCha8Rng, deviation: f64) -> Vector3<f64> {
    Vector3::from_fn(|_, _| deviation * rng.sample::<f64, _>(StandardNormal))
}

/// Atoms in a cube of `edge` [Å], at least 2 Å apart.
fn random_cluster(count: usize, edge: f64, rng: &mut ChaCha8Rng) -> Vec<Atom> {
    let mut atoms: Vec<Atom> = Vec::new();
    while atoms.len() < count {
        let position = Vector3::from_fn(|_, _| edge * rng.random::<f64>());
        if atoms.iter().all(|other| (other.position.coords - position).norm() > 2.0) {
            atoms.push(atom(if rng.random::<bool>() { "Pb" } else { "Se" }, position));
        }
    }
    atoms
}

/// The structure somewhere else, turned at random, mirrored or not, each atom displaced by `deviation` [Å] an axis.
fn moved(atoms: &[Atom], mirrored: bool, deviation: f64, rng: &mut ChaCha8Rng) -> Vec<Atom> {
    let (rotation, shift) = (random::rotation(rng), normal_vector(rng, 5.0));
    let hand = Matrix3::from_diagonal(&Vector3::new(1.0, if mirrored { -1.0 } else { 1.0 }, 1.0));
    atoms
        .iter()
        .map(|a| {
            let position = rotation * (hand * a.position.coords) + shift + normal_vector(rng, deviation);
            Atom { element: a.element, position: position.into() }
        })
        .collect()
}

// ---- brute force: all triples on all triples, superposition by Horn's quaternion, pairs by trying everything ----

/// Least-squares rotation and shift from `from` to `to` (Horn 1987, J. Opt. Soc. Am. A 4, 629).
fn horn(from: &[Vector3<f64>], to: &[Vector3<f64>]) -> impl Fn(Vector3<f64>) -> Vector3<f64> + use<> {
    let count = from.len() as f64;
    let (a, b) = (from.iter().sum::<Vector3<f64>>() / count, to.iter().sum::<Vector3<f64>>() / count);
    let s: Matrix3<f64> = from.iter().zip(to).map(|(p, q)| (p - a) * (q - b).transpose()).sum();
    let (xx, xy, xz) = (s[(0, 0)], s[(0, 1)], s[(0, 2)]);
    let (yx, yy, yz) = (s[(1, 0)], s[(1, 1)], s[(1, 2)]);
    let (zx, zy, zz) = (s[(2, 0)], s[(2, 1)], s[(2, 2)]);
    #[rustfmt::skip]
    let n = Matrix4::new(
        xx + yy + zz, yz - zy,       zx - xz,       xy - yx,
        yz - zy,      xx - yy - zz,  xy + yx,       zx + xz,
        zx - xz,      xy + yx,      -xx + yy - zz,  yz + zy,
        xy - yx,      zx + xz,       yz + zy,      -xx - yy + zz,
    );
    let eigen = n.symmetric_eigen();
    let best = eigen.eigenvectors.column(eigen.eigenvalues.imax()).into_owned();
    let rotation = UnitQuaternion::from_quaternion(Quaternion::new(best[0], best[1], best[2], best[3]));
    move |point| rotation * (point - a) + b
}

/// Most pairs, then least sum of squares, over all one-to-one pairings.
fn best_pairs(
    moved: &[Vector3<f64>],
    fixed: &[Vector3<f64>],
    used: u32,
    i: usize,
) -> (usize, f64, Vec<(usize, usize)>) {
    if i == moved.len() {
        return (0, 0.0, Vec::new());
    }
    let mut best = best_pairs(moved, fixed, used, i + 1);
    for (j, place) in fixed.iter().enumerate() {
        let squared = (moved[i] - place).norm_squared();
        if used & (1 << j) == 0 && squared <= TOLERANCE * TOLERANCE {
            let (count, cost, mut pairs) = best_pairs(moved, fixed, used | (1 << j), i + 1);
            if count + 1 > best.0 || (count + 1 == best.0 && cost + squared < best.1) {
                pairs.push((i, j));
                best = (count + 1, cost + squared, pairs);
            }
        }
    }
    best
}

/// (pairs, elements right, RMSD in pm) of the best motion.
fn brute_force(found: &[Atom], truth: &[Atom]) -> (usize, usize, f64) {
    let fixed: Vec<Vector3<f64>> = truth.iter().map(|a| a.position.coords).collect();
    let mut best = (0, 0, f64::INFINITY);
    for hand in [1.0, -1.0] {
        let moving: Vec<Vector3<f64>> =
            found.iter().map(|a| a.position.coords.component_mul(&Vector3::new(1.0, 1.0, hand))).collect();
        for_each_triple(moving.len(), |from| {
            for_each_triple(fixed.len(), |to| {
                for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                    let (p, q) = (from.map(|i| moving[i]), order.map(|o| fixed[to[o]]));
                    let congruent = [(0, 1), (1, 2), (0, 2)]
                        .iter()
                        .all(|&(i, j)| ((p[i] - p[j]).norm() - (q[i] - q[j]).norm()).abs() < 2.0 * TOLERANCE);
                    if congruent {
                        let result = settle(&moving, &fixed, &p, &q, found, truth);
                        if (result.0, result.1) > (best.0, best.1)
                            || ((result.0, result.1) == (best.0, best.1) && result.2 < best.2)
                        {
                            best = result;
                        }
                    }
                }
            });
        });
    }
    best
}

fn for_each_triple(n: usize, mut call: impl FnMut([usize; 3])) {
    for a in 0..n {
        for b in a + 1..n {
            for c in b + 1..n {
                call([a, b, c]);
            }
        }
    }
}

/// Superposes, pairs, superposes on the pairs, until the pairs stay; the last result with most pairs.
fn settle(
    moving: &[Vector3<f64>],
    fixed: &[Vector3<f64>],
    from: &[Vector3<f64>],
    to: &[Vector3<f64>],
    found: &[Atom],
    truth: &[Atom],
) -> (usize, usize, f64) {
    let (mut from, mut to) = (from.to_vec(), to.to_vec());
    let mut best = (0, 0, f64::INFINITY);
    for _ in 0..20 {
        let motion = horn(&from, &to);
        let place: Vec<_> = moving.iter().map(|&p| motion(p)).collect();
        let (count, squares, pairs) = best_pairs(&place, fixed, 0, 0);
        let right = pairs.iter().filter(|&&(i, j)| found[i].element == truth[j].element).count();
        let result = (count, right, 100.0 * (squares / count as f64).sqrt());
        if count < best.0 || count < 3 {
            break;
        }
        let same = result == best;
        best = result;
        if same {
            break;
        }
        (from, to) = pairs.iter().map(|&(i, j)| (moving[i], fixed[j])).unzip();
    }
    best
}

fn assert_agrees(found: &[Atom], truth: &[Atom], case: &str) {
    let (pairs, right, rmsd) = brute_force(found, truth);
    let result = run(&structure(found.to_vec()), &structure(truth.to_vec()));
    let got_right = (result.species_accuracy * result.found as f64).round() as usize;
    assert_eq!((result.found, got_right), (pairs, right), "{case}: {result}, brute force {rmsd:.3} pm");
    assert!((result.rmsd_pm - rmsd).abs() < 1e-3, "{case}: {result}, brute force {rmsd:.3} pm");
    assert_eq!((result.missing, result.extra), (truth.len() - pairs, found.len() - pairs), "{case}");
}

#[test]
fn random_clusters_are_laid_on_each_other_as_by_brute_force() {
    for index in 0..24 {
        let mut rng = random::stream(11, "compare", index);
        let truth = random_cluster(8, 6.0, &mut rng);
        let mut found = moved(&truth, index % 2 == 0, 0.12, &mut rng);
        found.truncate(8 - (index as usize / 2) % 3);
        for extra in random_cluster(index as usize % 4, 6.0, &mut rng) {
            let somewhere = extra.position.coords + found[0].position.coords + Vector3::new(2.1, 0.0, 0.0);
            found.push(Atom { position: somewhere.into(), ..extra });
        }
        found.truncate(9);
        assert_agrees(&found, &truth, &format!("cluster {index}"));
    }
}

#[test]
fn a_small_crystal_with_vacancies_is_laid_on_itself_as_by_brute_force() {
    for index in 0..6 {
        let mut rng = random::stream(13, "compare", index);
        // 3 × 2 × 2 sites of rocksalt: many rotations and shifts fit nearly all atoms
        let sites = (0..12).map(|i| (i % 3, i / 3 % 2, i / 6));
        let mut truth: Vec<Atom> = sites
            .map(|(x, y, z)| {
                let position =
                    3.06 * Vector3::new(f64::from(x), f64::from(y), f64::from(z)) + normal_vector(&mut rng, 0.05);
                atom(if (x + y + z) % 2 == 0 { "Pb" } else { "Se" }, position)
            })
            .collect();
        let mut found = moved(&truth, index % 2 == 1, 0.05, &mut rng);
        truth.remove(rng.random_range(0..12));
        truth.remove(rng.random_range(0..11));
        found.remove(rng.random_range(0..12));
        found.remove(rng.random_range(0..11));
        found.remove(rng.random_range(0..10));
        assert_agrees(&found, &truth, &format!("crystal {index}"));
    }
}

// ---- lattice spheres: the best of all lattice symmetries, enumerated ----

/// The 48 operations of the cube: signed permutations of the axes.
fn cube_operations() -> Vec<Matrix3<f64>> {
    let mut operations = Vec::new();
    for permutation in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for signs in 0..8 {
            let mut matrix = Matrix3::zeros();
            for axis in 0..3 {
                matrix[(axis, permutation[axis])] = if signs >> axis & 1 == 0 { 1.0 } else { -1.0 };
            }
            operations.push(matrix);
        }
    }
    operations
}

#[test]
fn a_rocksalt_sphere_with_vacancies_finds_the_best_of_its_symmetries() {
    let half = 3.06;
    for index in 0..4 {
        let mut rng = random::stream(17, "compare", index);
        let center = Vector3::from_fn(|_, _| rng.random::<f64>());
        let mut sites: Vec<[i32; 3]> = Vec::new();
        for i in 0..11i32.pow(3) {
            let site = [i % 11 - 5, i / 11 % 11 - 5, i / 121 - 5];
            if (Vector3::from(site.map(f64::from)) - center).norm() * half < 11.0 {
                sites.push(site);
            }
        }
        let symbol = |site: &[i32; 3]| if site.iter().sum::<i32>() % 2 == 0 { "Pb" } else { "Se" };
        let position = |site: &[i32; 3]| Vector3::from(site.map(f64::from)) * half;
        let mut thinned =
            || -> Vec<[i32; 3]> { sites.iter().copied().filter(|_| rng.random::<f64>() > 0.06).collect() };
        let (truth_sites, found_sites) = (thinned(), thinned());
        let truth: Vec<Atom> = truth_sites.iter().map(|site| atom(symbol(site), position(site))).collect();
        let crystal: Vec<Atom> = found_sites.iter().map(|site| atom(symbol(site), position(site))).collect();

        let mut best = (0, 0);
        for operation in cube_operations() {
            let turned: Vec<[i32; 3]> = found_sites
                .iter()
                .map(|site| (operation * Vector3::from(site.map(f64::from))).map(|x| x.round() as i32).into())
                .collect();
            for shift in (0..11i32.pow(3)).map(|i| [i % 11 - 5, i / 11 % 11 - 5, i / 121 - 5]) {
                let mut count = (0, 0);
                for (site, from) in turned.iter().zip(&found_sites) {
                    let to = [site[0] + shift[0], site[1] + shift[1], site[2] + shift[2]];
                    if truth_sites.contains(&to) {
                        count.0 += 1;
                        count.1 += usize::from(symbol(&to) == symbol(from));
                    }
                }
                best = best.max(count);
            }
        }

        let found = moved(&crystal, index % 2 == 0, 0.05, &mut rng);
        let result = run(&structure(found), &structure(truth));
        let right = (result.species_accuracy * result.found as f64).round() as usize;
        assert_eq!((result.found, right), best, "sphere {index}: {result}");
        assert!(result.rmsd_pm < 10.0, "{result}");
    }
}

#[test]
fn relaxed_particles_of_either_hand_are_found_whole_and_fast() {
    for (name, mirrored, seconds) in
        [("fept_1.5nm", true, 2.0), ("pbse_2.5nm", false, 2.0), ("fept_2.0nm", true, 2.0), ("fept_3.0nm", true, 10.0)]
    {
        let truth = bundled(name).unwrap();
        let mut rng = random::stream(19, "compare", 0);
        let found = structure(moved(truth.atoms(), mirrored, 0.1, &mut rng));
        let start = Instant::now();
        let result = run(&found, &truth);
        let elapsed = start.elapsed().as_secs_f64();
        println!("{name}: {result}, {elapsed:.2} s");
        assert_eq!((result.found, result.missing, result.extra), (truth.len(), 0, 0), "{name}: {result}");
        assert_eq!(result.species_accuracy, 1.0, "{name}: {result}");
        assert!((result.rmsd_pm - 17.3).abs() < 2.5, "{name}: {result}");
        assert!(elapsed < BUSY * seconds, "{name} took {elapsed:.1} s");
        // the motion given is the motion that was judged
        let superposed = result.superpose(&found);
        for pair in &result.pairs {
            let offset = superposed.atoms()[pair.found].position - truth.atoms()[pair.truth].position;
            assert!((offset.norm() - pair.distance).abs() < 1e-9);
        }
    }
}

#[test]
fn half_a_particle_among_strangers_is_recognised() {
    let truth = bundled("fept_1.5nm").unwrap();
    let mut rng = random::stream(23, "compare", 0);
    let mut found = moved(&truth.atoms()[..60], true, 0.08, &mut rng);
    let middle = structure(found.clone()).centroid().coords;
    while found.len() < 110 {
        let position = middle + normal_vector(&mut rng, 6.0);
        if found.iter().all(|other| (other.position.coords - position).norm() > 1.5) {
            found.push(atom("Fe", position));
        }
    }
    let result = run(&structure(found), &truth);
    let right = result.pairs.iter().filter(|pair| pair.found < 60 && pair.found == pair.truth).count();
    assert!(right >= 58, "{right} of 60: {result}");
}

#[test]
fn one_atom_two_atoms_lines_and_nothing_are_compared() {
    let at = |x: f64| atom("Pb", Vector3::new(x, 0.0, 0.0));
    let along = |x: f64| atom("Pb", Vector3::new(1.0, 2.0, -x));
    let counts = |found: Vec<Atom>, truth: Vec<Atom>| {
        let result = run(&structure(found), &structure(truth));
        (result.found, result.missing, result.extra)
    };
    assert_eq!(counts(vec![], vec![]), (0, 0, 0));
    assert_eq!(counts(vec![at(0.0)], vec![]), (0, 0, 1));
    assert_eq!(counts(vec![], vec![at(0.0)]), (0, 1, 0));
    assert_eq!(counts(vec![at(5.0)], vec![along(1.0)]), (1, 0, 0));
    assert_eq!(counts(vec![at(0.0), at(3.0)], vec![along(1.0), along(4.0), along(9.0)]), (2, 1, 0));
    assert_eq!(counts(vec![at(0.0), at(3.0)], vec![along(0.0), along(9.0)]), (1, 1, 1));
    assert_eq!(
        counts(vec![at(0.0), at(3.0), at(7.0), at(9.5)], vec![along(-9.5), along(-7.0), along(-3.0), along(0.0)]),
        (4, 0, 0)
    );
    let triangle = || vec![at(0.0), at(3.0), atom("Se", Vector3::new(1.0, 2.5, 0.0))];
    assert_eq!(counts(triangle(), vec![along(0.0), along(3.0)]), (2, 0, 1));
    assert_eq!(counts(triangle(), vec![along(0.0), along(3.0), along(6.0), along(9.0)]), (2, 2, 1));
}

#[test]
fn bad_tolerances_and_coordinates_are_refused() {
    let one = structure(vec![atom("Pb", Vector3::zeros())]);
    for tolerance in [0.0, -1.0, f64::NAN, 3.0] {
        let error = compare(&one, &one, &CompareOptions { tolerance }, &Task::silent()).unwrap_err();
        assert!(error.to_string().starts_with("tolerance is"), "{error}");
    }
    let lost = structure(vec![atom("Pb", Vector3::new(f64::NAN, 0.0, 0.0))]);
    assert!(compare(&lost, &one, &CompareOptions::default(), &Task::silent()).is_err());
}
