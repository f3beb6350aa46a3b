//! Colours that can be read.
//!
//! I own: contrast (WCAG 2.2, "relative luminance") and the mending of a colour that has too little of it. I may call:
//! nobody. I never judge taste.

use std::fmt;

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub [u8; 3]);

/// The least contrast of text, level AA.
pub const READABLE: f64 = 4.5;

const BLACK: Colour = Colour([0; 3]);
const WHITE: Colour = Colour([255; 3]);

impl Colour {
    /// From 1 (the same) to 21 (black on white).
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// This colour, moved away from `background` until text in it can be read there.
    pub fn readable_on(self, background: Self) -> Self {
        let far_end = background.black_or_white();
        let steps = (0..=100u16).map(|step| self.mixed(far_end, step));
        steps.into_iter().find(|colour| colour.contrast(background) >= READABLE).unwrap_or(far_end)
    }

    /// The one of the two that is easier to read on this colour.
    pub fn black_or_white(self) -> Self {
        if self.contrast(BLACK) >= self.contrast(WHITE) { BLACK } else { WHITE }
    }

    /// `percent` of `other` in this colour.
    fn mixed(self, other: Self, percent: u16) -> Self {
        let mix = |at: usize| {
            let sum = u16::from(self.0[at]) * (100 - percent) + u16::from(other.0[at]) * percent;
            u8::try_from(sum / 100).unwrap_or(u8::MAX)
        };
        Self([mix(0), mix(1), mix(2)])
    }

    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_what_the_guideline_says() {
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 0.001);
        assert!((WHITE.contrast(WHITE) - 1.0).abs() < 0.001);
        // The example that everybody quotes: the lightest grey that passes on white.
        assert!(
            Colour([0x76; 3]).contrast(WHITE) >= READABLE && Colour([0x77; 3]).contrast(WHITE) < READABLE
        );
    }

    #[test]
    fn any_colour_can_be_mended_on_any_ground() {
        let some = (0..=255u8).step_by(51);
        for red in some.clone() {
            for green in some.clone() {
                for blue in some.clone() {
                    let colour = Colour([red, green, blue]);
                    for ground in [WHITE, Colour([0x1d, 0x21, 0x27]), BLACK] {
                        let mended = colour.readable_on(ground);
                        assert!(mended.contrast(ground) >= READABLE, "{colour} on {ground}");
                        if colour.contrast(ground) >= READABLE {
                            assert_eq!(mended, colour);
                        }
                    }
                    assert!(colour.black_or_white().contrast(colour) >= READABLE, "{colour}");
                }
            }
        }
    }
}
