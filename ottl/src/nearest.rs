//! The known name nearest to a mistyped one.

/// The candidate with the smallest edit distance, if it is near enough to be what was meant. A longer name that begins
/// with the mistyped one counts as one edit: `IsRoot` is nearer to `IsRootSpan` than to `IsBool`.
pub(crate) fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    let begins = |candidate: &str| {
        name.len() >= 4 && candidate.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    candidates
        .map(|candidate| (if begins(candidate) { 1 } else { distance(name, candidate) }, candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, candidate)| (*distance, candidate.len(), *candidate))
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, letters of either case equal.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, a) in left.chars().map(|c| c.to_ascii_lowercase()).enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, &b) in right.iter().enumerate() {
            let substitute = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = substitute.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_and_far() {
        let names = ["IsMatch", "IsMap", "Len", "IsRootSpan", "IsBool"];
        assert_eq!(nearest("IsRoot", names.into_iter()), Some("IsRootSpan"));
        assert_eq!(nearest("ismatch", names.into_iter()), Some("IsMatch"));
        assert_eq!(nearest("IsMatc", names.into_iter()), Some("IsMatch"));
        assert_eq!(nearest("Nope", names.into_iter()), None);
    }
}
