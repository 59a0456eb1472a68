//! The host's memory, as far as this process may have it: a container's limit counts, not the machine's memory.

use std::path::Path;

use super::open::DeviceMemory;

/// Files of one version of control groups.
struct Version {
    /// Where groups are mounted.
    mount: &'static str,
    max: &'static str,
    current: &'static str,
    /// Keys of `memory.stat` with what the kernel gives up when somebody wants it: cached files.
    cached: [&'static str; 2],
}

const V1: Version = Version {
    mount: "sys/fs/cgroup/memory",
    max: "memory.limit_in_bytes",
    current: "memory.usage_in_bytes",
    cached: ["total_inactive_file", "total_active_file"],
};

const V2: Version = Version {
    mount: "sys/fs/cgroup",
    max: "memory.max",
    current: "memory.current",
    cached: ["inactive_file", "active_file"],
};

/// Memory now; zeros where the system does not say.
pub(super) fn memory() -> DeviceMemory {
    memory_under(Path::new("/"))
}

fn memory_under(root: &Path) -> DeviceMemory {
    let info = std::fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .find_map(|line| {
                line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
            })
            .map_or(0, |kib| kib * 1024)
    };
    let mut memory =
        DeviceMemory { total_bytes: field("MemTotal:"), free_bytes: field("MemAvailable:") };
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    // HIERARCHY:CONTROLLERS:PATH; of version 2 the first is 0 and the second empty.
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        match controllers {
            "" => V2.limit(root, path, &mut memory),
            some if some.split(',').any(|name| name == "memory") => {
                V1.limit(root, path, &mut memory);
            }
            _ => {}
        }
    }
    memory
}

impl Version {
    /// Lowers `memory` to what the group at `path` and all that it is in allow. In a container whose own group is
    /// mounted at the top, only that one is there.
    fn limit(&self, root: &Path, path: &str, memory: &mut DeviceMemory) {
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let dir = root.join(self.mount).join(group);
            let read = |name| std::fs::read_to_string(dir.join(name)).ok();
            let number = |name| read(name)?.trim().parse::<u64>().ok();
            // "max" is no number.
            let Some(max) = number(self.max) else { continue };
            memory.total_bytes = memory.total_bytes.min(max);
            let stat = read("memory.stat").unwrap_or_default();
            let cached = stat.lines().filter_map(|line| {
                let (key, value) = line.split_once(' ')?;
                self.cached.contains(&key).then(|| value.trim().parse::<u64>().ok())?
            });
            let used = number(self.current).unwrap_or(0).saturating_sub(cached.sum());
            memory.free_bytes = memory.free_bytes.min(max.saturating_sub(used));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A machine of 64 MiB, 32 of them free, with these files beside.
    #[track_caller]
    fn check(files: &[(&str, &str)], total_mib: u64, free_mib: u64) {
        let root = tempfile::tempdir().unwrap();
        let info = ("proc/meminfo", "MemTotal:       65536 kB\nMemAvailable:   32768 kB\n");
        for (path, text) in files.iter().chain([&info]) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = memory_under(root.path());
        let expected = DeviceMemory { total_bytes: total_mib * MIB, free_bytes: free_mib * MIB };
        assert_eq!(found, expected, "{files:?}");
    }

    #[test]
    fn without_groups_the_machine_counts() {
        check(&[], 64, 32);
        check(&[("proc/self/cgroup", "0::/\n")], 64, 32);
        let unlimited = [
            ("proc/self/cgroup", "4:memory:/a\n0::/a\n"),
            ("sys/fs/cgroup/a/memory.max", "max\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        check(&unlimited, 64, 32);
    }

    #[test]
    fn a_container_has_what_its_group_allows() {
        // 16 MiB, of which 10 are in use, and 4 of those are cached files.
        let container = [
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "16777216\n"),
            ("sys/fs/cgroup/memory.current", "10485760\n"),
            (
                "sys/fs/cgroup/memory.stat",
                "anon 6291456\ninactive_file 3145728\nactive_file 1048576\n",
            ),
        ];
        check(&container, 16, 10);
        // A unit's limit, on a slice above it.
        let unit = [
            ("proc/self/cgroup", "0::/system.slice/tessera.service\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "8388608\n"),
            ("sys/fs/cgroup/system.slice/memory.current", "2097152\n"),
            ("sys/fs/cgroup/system.slice/tessera.service/memory.max", "max\n"),
        ];
        check(&unit, 8, 6);
        // The name on the machine, and the group itself where it is mounted.
        let first_version = [
            ("proc/self/cgroup", "9:cpu,cpuacct:/b\n7:memory:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4194304\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "8388608\n"),
            ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 1048576\n"),
        ];
        check(&first_version, 4, 0);
    }
}
