//! Poses as STAR files: the round trip, the layouts of other versions, and what is wrong with a file.

use std::fs;

use nalgebra::Vector2;
use pedesis::orient::random_poses;
use pedesis::pose::{Pose, Poses, from_euler_angles};
use pedesis::store::{self, StarOptions, StarPoses};
use proptest::prelude::*;

fn read(text: &str, pixel_size: Option<f64>) -> Result<StarPoses, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.star");
    fs::write(&path, text).unwrap();
    store::read_star(&path, pixel_size).map_err(|error| {
        let message = error.to_string();
        assert!(message.contains("run.star") && !message.contains('\n'), "{message}");
        message
    })
}

fn round_trip(poses: &Poses, options: &StarOptions) -> StarPoses {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("poses.star");
    store::write_star(&path, poses, options).unwrap();
    store::read_star(&path, None).unwrap()
}

/// Angle between two rotations [°], from its sine.
fn degrees_between(a: &Pose, b: &Pose) -> f64 {
    2.0 * (a.rotation.inverse() * b.rotation).imag().norm().min(1.0).asin().to_degrees()
}

proptest! {
    #[test]
    fn any_pose_comes_back_to_a_millionth_of_a_degree(
        angles in proptest::array::uniform3(-720.0..720.0f64),
        tilt in prop_oneof![Just(0.0), Just(180.0), 0.0..1e-5f64, -400.0..400.0f64],
        shift in proptest::array::uniform2(-50.0..50.0f64),
        score in prop_oneof![Just(0.0), -1e5..1e5f64, Just(1e-300)],
    ) {
        let pose = Pose { rotation: from_euler_angles([angles[0], tilt, angles[2]]), shift: Vector2::from(shift) };
        let back = round_trip(&Poses::new(vec![pose], vec![score]), &StarOptions::default());
        let found = back.poses.as_slice()[0];
        prop_assert!(degrees_between(&pose, &found) < 1e-6);
        prop_assert!((pose.shift - found.shift).norm() < 1e-6);
        prop_assert_eq!(back.poses.scores(), [score]);
    }
}

#[test]
fn a_written_file_names_stack_pixels_and_microscope() {
    let options = StarOptions {
        images: Some("stack.mrcs".into()),
        pixel_size: Some(0.25),
        size: Some(160),
        energy: Some(200.0),
        c3: Some(-0.01),
    };
    let unscored = random_poses(12, 4);
    assert!(!round_trip(&unscored, &options).scored);
    let poses = Poses::new(unscored.as_slice().to_vec(), (0..12).map(f64::from).collect());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("poses.star");
    store::write_star(&path, &poses, &options).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let optics = "\n# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnOpticsGroupName #2\n\
                  _rlnImagePixelSize #3\n_rlnImageSize #4\n_rlnVoltage #5\n_rlnSphericalAberration #6\n\
                  _rlnImageDimensionality #7\n1 opticsGroup1 0.25 160 200 -0.01 2\n";
    assert!(text.contains(optics), "{text}");
    assert!(
        text.contains("data_particles\n\nloop_\n_rlnImageName #1\n_rlnAngleRot #2\n")
            && text.contains("\n000012@stack.mrcs ")
    );
    let back = store::read_star(&path, None).unwrap();
    assert_eq!((back.stack.as_deref(), back.pixel_size), (Some("stack.mrcs"), Some(0.25)));
    assert!(back.scored && back.warning.is_none());
    assert!(poses.as_slice().iter().zip(back.poses.as_slice()).all(|(a, b)| degrees_between(a, b) < 1e-6));
    let info = store::info(&path).unwrap();
    for fact in [
        "STAR\n",
        "data_particles 12 rows of 8 columns",
        "poses          12, with scores",
        "stack          stack.mrcs",
        "0.25 Å",
    ] {
        assert!(info.contains(fact), "\"{fact}\" is not in: {info}");
    }
    for bad in ["a b.mrcs", "", "a@b", "it's"] {
        let options = StarOptions { images: Some(bad.into()), ..StarOptions::default() };
        let said = store::write_star(&folder.path().join("bad.star"), &poses, &options).unwrap_err().to_string();
        assert!(said.contains("cannot name a stack"), "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

const RELION_3_1: &str = "\
# version 30001\r
\r
data_optics\r
\r
loop_\r
_rlnOpticsGroupName #1\r
_rlnOpticsGroup #2\r
_rlnImagePixelSize #3\r
\"group one\" 1 0.5\r
'group two' 2 0.25\r
\r
data_particles\r
\r
loop_\r
_rlnAngleTilt #1\r
_rlnAngleRot #2\r
_rlnAnglePsi #3\r
_rlnOriginX #4\r
_rlnOriginY #5\r
_rlnOpticsGroup #6\r
_rlnImageName #7\r
90 0 0 2 -4 1 000002@a.mrcs\r
  0 0 90 2 -4 2 000001@a.mrcs # a comment\r
\r
";

#[test]
fn columns_stand_in_any_order_and_rows_go_to_their_images() {
    let read = read(RELION_3_1, None).unwrap();
    assert_eq!(read.stack.as_deref(), Some("a.mrcs"));
    assert_eq!((read.warning, read.scored), (None, false));
    let [first, second] = read.poses.as_slice() else { panic!("two poses") };
    // image 1 is the second row: pixels of 0.25 Å, psi 90°
    assert_eq!(first.shift, Vector2::new(-0.5, 1.0));
    assert_eq!(second.shift, Vector2::new(-1.0, 2.0));
    // psi turns the axes against the body: body x lies along −y of the image
    assert!((first.matrix() * nalgebra::Vector3::x() + nalgebra::Vector3::y()).norm() < 1e-12);
    // tilt 90° at rot 0: the beam runs along body x
    assert!((second.viewing_direction() - nalgebra::Vector3::x()).norm() < 1e-12);
}

#[test]
fn the_layout_of_relion_3_0_is_read() {
    let text = "\ndata_images\n\nloop_\n_rlnAngleRot\n_rlnAngleTilt\n_rlnAnglePsi\n_rlnOriginX\n_rlnOriginY\n_rlnDetectorPixelSize\n_rlnMagnification\n\
                10 20 30 1 2 5 100000\n";
    assert_eq!(read(text, None).unwrap().poses.as_slice()[0].shift, Vector2::new(-0.5, -1.0));
    assert_eq!(read(text, Some(0.25)).unwrap().poses.as_slice()[0].shift, Vector2::new(-0.25, -0.5));
    let bare = "data_\nloop_\n_rlnAngleRot\n_rlnAngleTilt\n_rlnAnglePsi\n_rlnOriginX\n_rlnOriginY\n10 20 30 1 2\n";
    let said = read(bare, None).unwrap_err();
    assert!(said.contains("line 1: the origins are in pixels") && said.contains("pixel_size: 0.25"), "{said}");
    assert_eq!(read(bare, Some(0.5)).unwrap().poses.as_slice()[0].shift, Vector2::new(-0.5, -1.0));
    let angles = "data_\nloop_\n_rlnAngleRot\n_rlnAngleTilt\n_rlnAnglePsi\n10 20 30\n";
    assert_eq!(read(angles, None).unwrap().poses.as_slice()[0].shift, Vector2::zeros());
}

#[test]
fn rows_that_are_not_a_whole_stack_keep_their_order_with_a_warning() {
    let text = RELION_3_1.replace("000001@", "000005@");
    let read = read(&text, None).unwrap();
    assert!(read.warning.unwrap().contains("2 rows (from 000002@a.mrcs to 000005@a.mrcs)"));
    assert_eq!(read.poses.as_slice()[0].shift, Vector2::new(-1.0, 2.0));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cases = [
        (
            RELION_3_1.replace("_rlnAnglePsi", "_rlnAngleP"),
            "line 12: data_particles has no column _rlnAnglePsi (it has: _rlnAngleTilt,",
        ),
        (RELION_3_1.replace("90 0 0 2", "90 0 zero 2"), "line 22: _rlnAnglePsi must be a number, not \"zero\""),
        (RELION_3_1.replace("90 0 0 2", "NaN 0 0 2"), "line 22: _rlnAngleTilt must be a number, not \"NaN\""),
        (
            RELION_3_1.replace(" 000002@a.mrcs", ""),
            "line 22: row 1 of data_particles is truncated: 6 values for 7 columns",
        ),
        (
            RELION_3_1.replace("000002@a.mrcs", "a.mrcs"),
            "line 22: _rlnImageName must be like 000001@stack.mrcs, not \"a.mrcs\"",
        ),
        (RELION_3_1.replace("-4 2 0", "-4 3 0"), "line 23: data_optics has no optics group 3"),
        (RELION_3_1.replace("_rlnOriginY", "_rlnOriginZ"), "line 12: data_particles has no column _rlnOriginY"),
        (RELION_3_1.replace("1 0.5", "1 -0.5"), "line 22: the pixel size must be positive, not -0.5 Å"),
        (
            "data_optics\n_rlnOpticsGroup 1\n".to_owned(),
            "is not a STAR file with poses: none of its 1 blocks has a column _rlnAngleRot",
        ),
        (String::new(), "is not a STAR file with poses: none of its 0 blocks"),
    ];
    for (text, said) in cases {
        let message = read(&text, None).unwrap_err();
        assert!(message.contains(said), "\"{said}\" is not in: {message}");
    }

    let folder = tempfile::tempdir().unwrap();
    let missing = store::read_star(&folder.path().join("none.star"), None).unwrap_err().to_string();
    assert!(missing.contains("cannot read") && missing.contains("No such file"), "{missing}");
}
