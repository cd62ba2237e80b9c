//! The metrics that every Prometheus client has of its process.

use std::fmt;

use procfs::{WithCurrentSystemInfo, process::LimitValue};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Looked at when somebody asks.
#[derive(Debug)]
pub(crate) struct Process;

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        // Where it cannot be read, nothing is said of it.
        read().map_or(Ok(()), |seen| seen.encode(encoder))
    }
}

struct Seen {
    cpu_seconds: f64,
    start_seconds: f64,
    resident: u64,
    open_fds: usize,
    max_fds: Option<u64>,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "ticks of a process' life are far below 2^53"
)]
fn read() -> procfs::ProcResult<Seen> {
    let process = procfs::process::Process::myself()?;
    let stat = process.stat()?;
    let ticks = procfs::ticks_per_second() as f64;
    let started = procfs::boot_time_secs()? as f64;
    let most = process.limits()?.max_open_files.soft_limit;
    Ok(Seen {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
        start_seconds: started + stat.starttime as f64 / ticks,
        resident: stat.rss_bytes().get(),
        open_fds: process.fd_count()?,
        max_fds: match most {
            LimitValue::Value(most) => Some(most),
            LimitValue::Unlimited => None,
        },
    })
}

impl Seen {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        let help = "Time of processors that the process took.";
        ConstCounter::new(self.cpu_seconds).encode(encoder.encode_descriptor(
            "process_cpu",
            help,
            seconds,
            MetricType::Counter,
        )?)?;
        let help = "When the process was started, since 1970.";
        ConstGauge::new(self.start_seconds).encode(encoder.encode_descriptor(
            "process_start_time",
            help,
            seconds,
            MetricType::Gauge,
        )?)?;
        let help = "Memory that the process has in use.";
        gauge(self.resident).encode(encoder.encode_descriptor(
            "process_resident_memory",
            help,
            bytes,
            MetricType::Gauge,
        )?)?;
        let help = "Files and connections that the process has open.";
        gauge(self.open_fds as u64).encode(encoder.encode_descriptor(
            "process_open_fds",
            help,
            None,
            MetricType::Gauge,
        )?)?;
        if let Some(most) = self.max_fds {
            let help = "Files and connections that the process may have open.";
            gauge(most).encode(encoder.encode_descriptor(
                "process_max_fds",
                help,
                None,
                MetricType::Gauge,
            )?)?;
        }
        Ok(())
    }
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
