//! nginx with the configuration of deploy/.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};

/// nginx with the configuration of deploy/, on addresses of this test.
pub(crate) struct Nginx(Child);

impl Nginx {
    /// None where nginx is not installed.
    pub(crate) fn start(dir: &Path, listen: SocketAddr, replicas: [SocketAddr; 2]) -> Option<Self> {
        let nginx = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
        let nginx = nginx.into_iter().find(|path| Path::new(path).exists())?;
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/proxy/nginx.conf");
        let config = std::fs::read_to_string(file)
            .unwrap()
            .replace("127.0.0.1:50051", &listen.to_string())
            .replace("127.0.0.1:50061", &replicas[0].to_string())
            .replace("127.0.0.1:50062", &replicas[1].to_string())
            .replace("worker_processes auto;", "worker_processes 1;\nuser root;")
            .replace("http {", "http {\n    access_log off;\n    client_body_temp_path body;");
        let path = dir.join("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let process = Command::new(nginx)
            .arg("-p")
            .arg(dir)
            .arg("-c")
            .arg(&path)
            .arg("-e")
            .arg(dir.join("error.log"))
            .args(["-g", &format!("daemon off; pid {}/nginx.pid;", dir.display())])
            .spawn()
            .unwrap();
        Some(Self(process))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        // Its workers go with it only where it is asked to.
        let _ = Command::new("kill").args(["-QUIT", &id]).status();
        let _ = self.0.wait();
    }
}
