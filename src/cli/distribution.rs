//! What many measurements of one thing say together: mean and percentiles.

/// Measurements, sorted. What is not finite is left out: it was not measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Distribution {
    sorted: Vec<f64>,
}

impl FromIterator<f64> for Distribution {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        Self { sorted }
    }
}

impl Distribution {
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.sorted.iter().sum::<f64>() / self.len() as f64)
    }

    /// The value that `percent` of all are at most, between neighbours in proportion.
    pub(super) fn percentile(&self, percent: f64) -> Option<f64> {
        let last = self.sorted.len().checked_sub(1)?;
        let place = percent.clamp(0.0, 100.0) / 100.0 * last as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        let share = place - place.floor();
        Some(self.sorted[low] * (1.0 - share) + self.sorted[high] * share)
    }

    /// Share of the values that are at most each value: the points of a cumulative curve.
    pub(super) fn cumulative(&self) -> Vec<(f64, f64)> {
        let count = self.len() as f64;
        self.sorted.iter().enumerate().map(|(i, &x)| (x, (i + 1) as f64 / count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_neighbours() {
        let some: Distribution = [4.0, 1.0, f64::NAN, 3.0, 2.0].into_iter().collect();
        assert_eq!(some.len(), 4);
        assert_eq!(some.mean(), Some(2.5));
        assert_eq!(some.percentile(0.0), Some(1.0));
        assert_eq!(some.percentile(50.0), Some(2.5));
        assert_eq!(some.percentile(100.0), Some(4.0));
        assert_eq!(some.cumulative().last(), Some(&(4.0, 1.0)));
    }

    #[test]
    fn nothing_has_no_percentile() {
        let none = Distribution::default();
        assert_eq!((none.mean(), none.percentile(50.0)), (None, None));
    }
}
