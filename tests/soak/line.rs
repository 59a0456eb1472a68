//! The line through samples of memory, and how far chance alone may have turned it.

use std::fmt;

/// Growth in bytes an hour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    pub(crate) per_hour: f64,
    /// The true growth is within this of it with a chance of 95 %, as samples scatter about their line.
    pub(crate) within: f64,
}

impl Growth {
    /// Of `samples` in seconds and bytes, by least squares.
    pub(crate) fn of(samples: &[(f64, f64)]) -> Self {
        let count = samples.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / count;
        let (time, bytes) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let (mut together, mut alone) = (0.0, 0.0);
        for sample in samples {
            together += (sample.0 - time) * (sample.1 - bytes);
            alone += (sample.0 - time).powi(2);
        }
        let slope = together / alone;
        let off = |sample: &(f64, f64)| sample.1 - bytes - slope * (sample.0 - time);
        let freedom = count - 2.0;
        let scatter = samples.iter().map(|sample| off(sample).powi(2)).sum::<f64>() / freedom;
        // Student's t for 97.5 %, from eight samples on to within 1 %.
        let student = 1.96 + 2.4 / freedom + 3.0 / freedom.powi(2);
        let within = student * (scatter / alone).sqrt();
        Self { per_hour: slope * 3600.0, within: within * 3600.0 }
    }

    /// What it may be at most, for all that chance can hide.
    pub(crate) fn at_most(self) -> f64 {
        self.per_hour + self.within
    }

    /// What it is at least: more than that is not shown.
    pub(crate) fn at_least(self) -> f64 {
        self.per_hour - self.within
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        write!(f, "{:+.3} MiB/h, within {:.3}", mib(self.per_hour), mib(self.within))
    }
}

#[test]
fn a_line_is_found_and_chance_is_told() {
    let straight: Vec<_> = (0..20).map(|i| (f64::from(i), 1000.0 + 2.0 * f64::from(i))).collect();
    let growth = Growth::of(&straight);
    assert!((growth.per_hour - 7200.0).abs() < 1e-6 && growth.within < 1e-6, "{growth:?}");
    // The same line, 10 above and below it in turn: by the textbook the standard error is 0.4 a second.
    let scattered: Vec<_> = straight
        .iter()
        .enumerate()
        .map(|(i, sample)| (sample.0, sample.1 + if i % 2 == 0 { 10.0 } else { -10.0 }))
        .collect();
    let growth = Growth::of(&scattered);
    assert!((growth.per_hour - 7200.0).abs() < growth.within, "{growth:?}");
    assert!((0.80..0.90).contains(&(growth.within / 3600.0)), "{growth:?}");
}
