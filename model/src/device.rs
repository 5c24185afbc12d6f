//! What computes: the tensor backends that are built in.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A tensor backend. Each is a numerics family of its own: params are never equal over two of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// burn-flex: one thread of this machine's CPU.
    #[default]
    Flex,
    /// burn-ndarray: slower, and deprecated upstream.
    #[cfg(feature = "ndarray")]
    Ndarray,
}

/// A device that is not built in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no device {name:?} in this build; it has {}", Device::ALL.map(Device::name).join(", "))]
pub struct DeviceError {
    name: String,
}

impl Device {
    /// The devices of this build.
    #[cfg(not(feature = "ndarray"))]
    pub const ALL: [Self; 1] = [Self::Flex];
    /// The devices of this build.
    #[cfg(feature = "ndarray")]
    pub const ALL: [Self; 2] = [Self::Flex, Self::Ndarray];

    /// The name on the command line, and of the numerics family.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            #[cfg(feature = "ndarray")]
            Self::Ndarray => "ndarray",
        }
    }

    pub(crate) fn open(self) -> burn::tensor::Device {
        match self {
            Self::Flex => burn::tensor::Device::flex(),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated, reason = "offered for as long as burn has it")]
            Self::Ndarray => burn::tensor::Device::ndarray(),
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let found = Self::ALL.into_iter().find(|device| device.name() == name);
        found.ok_or_else(|| DeviceError { name: name.chars().take(32).collect() })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_device_or_an_error_that_lists_them() {
        for device in Device::ALL {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        let error = "cuda".parse::<Device>().expect_err("not built in");
        assert!(error.to_string().contains("\"cuda\"") && error.to_string().contains("flex"), "{error}");
    }
}
