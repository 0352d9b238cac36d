//! "Did you mean": the known word nearest to a wrong one.

/// ` (did you mean "x"?)`, or nothing if no known word is near.
pub(super) fn hint<'w>(wrong: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    match nearest(wrong, known) {
        Some(word) => format!(" (did you mean \"{word}\"?)"),
        None => String::new(),
    }
}

/// The known word with the fewest edits, if these are at most a third of its length.
pub(super) fn nearest<'w>(wrong: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let lower = wrong.to_ascii_lowercase();
    known
        .into_iter()
        .map(|word| (edits(&lower, &word.to_ascii_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.chars().count() + 1).max(3) / 3)
        .min_by_key(|(distance, word)| (*distance, word.len()))
        .map(|(_, word)| word)
}

/// Levenshtein distance. Words longer than any key are not compared.
fn edits(a: &str, b: &str) -> usize {
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_only() {
        let known = ["verbosity", "timeout", "sampling_initial"];
        assert_eq!(nearest("verbosityy", known), Some("verbosity"));
        assert_eq!(nearest("TimeOut", known), Some("timeout"));
        assert_eq!(nearest("jaeger", known), None);
    }
}
