//! "Did you mean": the known word nearest to a wrong one.

/// ` (did you mean "x"?)`, or nothing if no known word is near.
pub(crate) fn hint<'w>(wrong: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    match nearest(wrong, known) {
        Some(word) => format!(" (did you mean \"{word}\"?)"),
        None => String::new(),
    }
}

/// The known word with the fewest edits, if these are at most a third of its length.
pub(crate) fn nearest<'w>(wrong: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let lower = wrong.to_ascii_lowercase();
    known
        .into_iter()
        .map(|word| (edits(&lower, &word.to_ascii_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.chars().count() + 1).max(3) / 3)
        .min_by_key(|(distance, word)| (*distance, word.len()))
        .map(|(_, word)| word)
}

/// Edits from one to the other: a letter added, left out, changed, or two neighbours swapped. Words longer than any key
/// are not compared.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    // Row i, column j: edits from the first i letters of one to the first j of the other.
    let mut rows: Vec<Vec<usize>> = (0..=a.len()).map(|i| (i..=i + b.len()).collect()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
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
        assert_eq!(nearest("oltp", ["debug", "otlp"]), Some("otlp"));
    }
}
