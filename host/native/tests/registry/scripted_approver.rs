//! An approver whose answers the test controls.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use capspawn_native::{Answer, Approver, Question};
use tokio::sync::Semaphore;

/// An approver that records the questions and answers when the test permits it.
pub(crate) struct ScriptedApprover {
    answer: Answer,
    questions: Mutex<Vec<Question>>,
    /// One permit for each answer that it may give.
    pub(crate) answers: Semaphore,
    /// `MAX_OPEN` permits, of which each open question takes one.
    open: Semaphore,
}

/// More questions than a test ever has open.
const MAX_OPEN: usize = 1000;

impl ScriptedApprover {
    /// Answers every question at once.
    pub(crate) fn new(answer: Answer) -> Arc<Self> {
        Self::slow(answer, Semaphore::MAX_PERMITS)
    }

    /// Answers the first `answers` questions, and more when permits are added.
    pub(crate) fn slow(answer: Answer, answers: usize) -> Arc<Self> {
        Arc::new(Self {
            answer,
            questions: Mutex::default(),
            answers: Semaphore::new(answers),
            open: Semaphore::new(MAX_OPEN),
        })
    }

    pub(crate) fn questions(&self) -> Vec<Question> {
        self.questions.lock().expect("no test panics here").clone()
    }

    /// The number of questions without an answer.
    pub(crate) fn open(&self) -> usize {
        MAX_OPEN - self.open.available_permits()
    }
}

impl Approver for ScriptedApprover {
    fn ask<'a>(
        &'a self,
        question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            let _open = self
                .open
                .try_acquire()
                .expect("fewer than MAX_OPEN are open");
            self.questions
                .lock()
                .expect("no test panics here")
                .push(question.clone());
            self.answers
                .acquire()
                .await
                .expect("the semaphore is never closed")
                .forget();
            self.answer.clone()
        })
    }
}
