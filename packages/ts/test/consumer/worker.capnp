using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    ( name = "main",
      worker = (
        modules = [ ( name = "worker.js", esModule = embed "worker.js" ) ],
        compatibilityDate = "2025-01-01",
        globalOutbound = "network",
      ) ),
    ( name = "network", network = ( allow = ["local"] ) ),
  ],
);
