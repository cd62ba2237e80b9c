//! What is measured of the process itself: its version, its runtime, and what it takes from the machine.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::{Registry, Unit},
};
use tokio::runtime::{Handle, RuntimeMetrics};

/// Registers what is measured of this process, whose service is `name`; to be called in the runtime that does its work.
pub(crate) fn register(name: &str, registry: &mut Registry) {
    let labels = vec![
        ("service".to_owned(), name.to_owned()),
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ];
    registry.register("tiffin_build", "What runs here", Info::new(labels));
    let runtime = registry.sub_registry_with_prefix("tiffin_runtime");
    runtime.register_collector(Box::new(Runtime(Handle::current().metrics())));
    #[cfg(target_os = "linux")]
    registry.register_collector(Box::new(crate::process::Process));
}

/// The runtime that does the work; requests are served by another.
#[derive(Debug)]
struct Runtime(RuntimeMetrics);

impl Collector for Runtime {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for (name, help, value) in [
            ("workers", "Threads that run tasks.", self.0.num_workers()),
            ("tasks", "Tasks that have not ended.", self.0.num_alive_tasks()),
            (
                "queued_tasks",
                "Tasks that wait for a thread, those apart that have one already.",
                self.0.global_queue_depth(),
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let workers = 0..self.0.num_workers();
        let busy: f64 = workers
            .map(|worker| self.0.worker_total_busy_duration(worker).as_secs_f64())
            .sum();
        let help = "Time for which its threads were busy.";
        let unit = Some(&Unit::Seconds);
        ConstCounter::new(busy).encode(encoder.encode_descriptor("busy", help, unit, MetricType::Counter)?)
    }
}
