//! What keeps the views up to date: subscriptions that fold, here or in another process, and what follows them.

use std::future::Future;
use std::sync::Arc;

use chassis::clock;
use chassis::cores::Loop;
use events::subscription::Fault;
use events::{Declared, Retry, Subscription, WritePosition};
use tokio::sync::watch;
use views::Fold;

use super::Layer;
use crate::compose::loops::Loops;

/// What may keep the views from folding, on purpose.
pub(crate) struct Interruptions {
    /// Whether they rest.
    pub(crate) resting: watch::Receiver<bool>,
    /// Which events fail.
    pub(crate) fault: Fault,
}

impl Interruptions {
    /// Nothing does.
    pub(super) fn none() -> Interruptions {
        Interruptions { resting: watch::channel(false).1, fault: Arc::new(|_| Ok(())) }
    }
}

impl Layer {
    /// One subscription of the views for each of `topics`, to be run; `name` stands before the topic's. Where
    /// instances share their rows they rest but in the one that holds the fold.
    pub(crate) async fn folds(
        &self,
        name: &str,
        topics: &[Declared],
        retry: Retry,
        interruptions: &Interruptions,
    ) -> Loops {
        let Loops { mut run, mut controls } = Loops::default();
        let mut resting = interruptions.resting.clone();
        if let Some(stands_by) = self.views.stands_by() {
            let (rest, either) = watch::channel(true);
            run.push(self.until_stopped(rest_while(rest, resting.clone(), stands_by)));
            let views = self.views.clone();
            run.push(self.until_stopped(async move { views.hold_fold(resting).await }));
            resting = either;
        }
        for subscription in self.subscriptions(name, topics, retry).await {
            let subscription =
                subscription.paused(resting.clone()).fault(interruptions.fault.clone());
            controls.push(subscription.control());
            let stop = self.loops.clone();
            // The stop is handed in as a future: a loop finishes the event in its hands before it ends.
            run.push(Box::pin(subscription.run(async move { stop.stopped().await })));
        }
        run.extend(self.watched());
        Loops { run, controls }
    }

    /// The same for views that other processes fold: nothing of it is run here, and its subscriptions are asked how far
    /// they are.
    pub(crate) async fn reads(&self, name: &str, topics: &[Declared], retry: Retry) -> Loops {
        drop(self.subscriptions(name, topics, retry).await);
        Loops { run: self.watched(), controls: Vec::new() }
    }

    /// The views ask their handles how far the fold is, so they are theirs before any of them runs.
    async fn subscriptions(
        &self,
        name: &str,
        topics: &[Declared],
        retry: Retry,
    ) -> Vec<Subscription<Fold>> {
        let mut subscriptions = Vec::with_capacity(topics.len());
        for Declared { topic, .. } in topics {
            // A topic's publisher is called as the topic is; a position names it.
            self.views.publisher(topic.as_str(), topic);
            self.views.publisher(&WritePosition::source_in(topic), topic);
            let subscription = Subscription::new(
                &format!("{name}.{topic}"),
                topic.clone(),
                self.views.database().clone(),
                self.broker.clone(),
                self.views.fold(),
                retry,
                clock::component(),
            );
            let opener = self.gateway.sealing().and_then(|sealing| sealing.opener(topic));
            let subscription = subscription.opened_by(opener);
            self.views.attach(subscription.control()).await;
            subscriptions.push(subscription);
        }
        subscriptions
    }

    /// What looks at what was folded: how far behind it is, and, where others fold too, what they did.
    fn watched(&self) -> Vec<Loop> {
        let (behind, others) = (self.views.clone(), self.views.clone());
        vec![
            self.until_stopped(async move { behind.watch_folds().await }),
            self.until_stopped(async move {
                let announced = others.database().announcements();
                others.follow(Some(announced)).await;
            }),
        ]
    }

    fn until_stopped(&self, part: impl Future<Output = ()> + Send + 'static) -> Loop {
        let stop = self.loops.clone();
        Box::pin(async move {
            tokio::select! {
                () = part => {}
                () = stop.stopped() => {}
            }
        })
    }
}

/// Has `rest` say whether either of two says so.
async fn rest_while(
    rest: watch::Sender<bool>,
    mut one: watch::Receiver<bool>,
    mut other: watch::Receiver<bool>,
) {
    loop {
        rest.send_replace(*one.borrow_and_update() || *other.borrow_and_update());
        tokio::select! {
            () = changed(&mut one) => {}
            () = changed(&mut other) => {}
        }
    }
}

/// Whoever set it may be gone: then it stays as it was left.
async fn changed(flag: &mut watch::Receiver<bool>) {
    if flag.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
