//! Poses of a tilt series, where the angles of the stage are known.

use nalgebra::{Unit, UnitQuaternion, Vector2, Vector3};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::pose::{Pose, Poses};

/// Options of [`tilt_series`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TiltSeriesOptions {
    /// Azimuth of the tilt axis in the image, from x towards y \[degrees\]; default 0.
    pub axis: f64,
    /// Shift (x, y) of the particle in each image \[Å\]; default: none.
    #[serde(skip)]
    pub shifts: Option<Vec<[f64; 2]>>,
}

/// Poses of a particle that is turned by `angles` \[degrees\] about one axis in the plane of the image, positive as the right hand turns.
///
/// # Errors
/// If there are no angles, one is not finite, or the number of shifts is another.
pub fn tilt_series(angles: &[f64], options: &TiltSeriesOptions) -> Result<Poses, Error> {
    if angles.is_empty() {
        return Err(Error::NoAngles);
    }
    let shifts = options.shifts.clone().unwrap_or_else(|| vec![[0.0; 2]; angles.len()]);
    if shifts.len() != angles.len() {
        return Err(Error::ShiftCount { angles: angles.len(), shifts: shifts.len() });
    }
    let finite = |name, value: f64| {
        if value.is_finite() { Ok(value) } else { Err(Error::Option { name, range: "a finite number", value }) }
    };
    let azimuth = finite("axis", options.axis)?.to_radians();
    let axis = Unit::new_unchecked(Vector3::new(azimuth.cos(), azimuth.sin(), 0.0));
    let pose = |(&angle, [x, y]): (&f64, [f64; 2])| {
        let rotation = UnitQuaternion::from_axis_angle(&axis, finite("a tilt angle", angle)?.to_radians());
        Ok(Pose { rotation, shift: Vector2::new(finite("a shift", x)?, finite("a shift", y)?) })
    };
    Ok(Poses::unscored(angles.iter().zip(shifts).map(pose).collect::<Result<_, Error>>()?))
}
