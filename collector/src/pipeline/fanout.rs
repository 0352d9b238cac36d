//! One batch to several consumers.

use std::sync::Arc;

use component::{Consume, ConsumeError, Consumer};

/// Hands a clone to each branch, one after the other, and tries all of them whatever the earlier ones answer.
///
/// Batches share their buffers, so a clone is cheap and a branch may change what it gets without the others seeing it.
/// As upstream, one slow branch delays the others and the caller.
pub struct FanOut<T> {
    branches: Vec<Arc<dyn Consumer<T>>>,
}

impl<T: Clone + Send + 'static> FanOut<T> {
    /// A consumer for all of `branches`; a single one is given back as it is.
    #[must_use]
    pub fn over(mut branches: Vec<Arc<dyn Consumer<T>>>) -> Arc<dyn Consumer<T>> {
        match (branches.len(), branches.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                branches.extend(last);
                Arc::new(Self { branches })
            }
        }
    }
}

impl<T: Clone + Send + 'static> Consumer<T> for FanOut<T> {
    fn consume(&self, batch: T) -> Consume<'_> {
        Box::pin(async move {
            let Some((last, others)) = self.branches.split_last() else { return Ok(()) };
            let mut answers = Vec::with_capacity(self.branches.len());
            for branch in others {
                answers.push(branch.consume(batch.clone()).await);
            }
            answers.push(last.consume(batch).await);
            ConsumeError::join(answers)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Branch {
        seen: Mutex<Vec<u32>>,
        answer: Result<(), ConsumeError>,
    }

    impl Consumer<u32> for Branch {
        fn consume(&self, batch: u32) -> Consume<'_> {
            self.seen.lock().unwrap().push(batch);
            let answer = self.answer.clone();
            Box::pin(async move { answer })
        }
    }

    fn branch(answer: Result<(), ConsumeError>) -> Arc<Branch> {
        Arc::new(Branch { seen: Mutex::default(), answer })
    }

    #[tokio::test]
    async fn all_branches_are_tried_and_failures_joined() {
        let branches = [
            branch(Err(ConsumeError::permanent("first"))),
            branch(Ok(())),
            branch(Err(ConsumeError::retryable("third"))),
        ];
        let fan_out = FanOut::over(branches.iter().map(|branch| branch.clone() as Arc<dyn Consumer<u32>>).collect());
        let error = fan_out.consume(7).await.unwrap_err();
        assert_eq!((&*error.message, error.permanent), ("first; third", false));
        assert!(branches.iter().all(|branch| *branch.seen.lock().unwrap() == [7]));
    }

    #[tokio::test]
    async fn one_branch_is_itself() {
        let only: Arc<dyn Consumer<u32>> = branch(Ok(()));
        assert!(Arc::ptr_eq(&FanOut::over(vec![only.clone()]), &only));
    }
}
