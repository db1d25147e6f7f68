//! Who listens on a port, as far as the system tells.

/// The processes that listen on a port: id and name. Empty when the system does not say.
#[cfg(target_os = "linux")]
pub(super) fn of(port: u16) -> Vec<(u32, String)> {
    use std::fs;
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(|line| listening(line, port)).collect::<Vec<_>>())
        .collect();
    let mut holders = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Processes of other users do not show what they have open.
        let mut open = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let holds = open.any(|file| {
            fs::read_link(file.path())
                .is_ok_and(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
        });
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            holders.push((id, name.trim().to_owned()));
        }
    }
    holders
}

/// The socket of a line of the system's table that listens on this port.
#[cfg(target_os = "linux")]
fn listening(line: &str, port: u16) -> Option<String> {
    const LISTENS: &str = "0A";
    let mut columns = line.split_ascii_whitespace();
    let (_, local) = columns.nth(1)?.rsplit_once(':')?;
    let (state, inode) = (columns.nth(1)?, columns.nth(5)?);
    let is_it = state == LISTENS && u16::from_str_radix(local, 16).ok()? == port;
    is_it.then(|| format!("socket:[{inode}]"))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn of(_port: u16) -> Vec<(u32, String)> {
    Vec::new()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holders = of(listener.local_addr().unwrap().port());
        assert!(holders.iter().any(|(id, _)| *id == std::process::id()), "{holders:?}");
        let line = "   0: 0100007F:207D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0";
        assert_eq!(listening(line, 8317), Some("socket:[4242]".to_owned()));
        assert_eq!(listening(line, 80), None);
    }
}
