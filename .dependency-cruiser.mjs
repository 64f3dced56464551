// The arrows of ARCHITECTURE.md: which folder may import which. An arrow that is missing here does not exist.

const server = "^packages/server/src/";

/** Workspace packages that `name` may import; itself is understood. Tests may import what they like. */
function packageLooksDown(name, allowed) {
  return {
    name: `${name}-looks-down`,
    severity: "error",
    from: { path: `^packages/${name}/src/`, pathNot: "\\.test\\.ts$" },
    to: { path: "^(packages|examples|bench|conformance)/", pathNot: `^packages/(${[name, ...allowed].join("|")})/` },
  };
}

export default {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    { name: "imports-exist", severity: "error", from: {}, to: { couldNotResolve: true } },

    packageLooksDown("contract", []),
    packageLooksDown("core", ["contract"]),
    packageLooksDown("ts", ["contract", "core"]),
    packageLooksDown("msw", ["contract", "core", "server"]),
    packageLooksDown("authoring", ["contract", "core", "ts"]),
    packageLooksDown("server", ["contract", "core"]),
    packageLooksDown("testing", ["contract", "core", "server"]),
    packageLooksDown("cli", ["contract", "core", "ts", "authoring", "server"]),
    packageLooksDown("dashboard", ["contract", "core", "ts"]),
    {
      name: "packages-know-no-programs",
      severity: "error",
      from: { path: "^packages/[^/]+/src/" },
      to: { path: "^(examples|bench|conformance|scripts)/" },
    },
    {
      name: "only-strait-dev-and-serve-start-a-server",
      severity: "error",
      from: { path: "^packages/cli/src/", pathNot: "^packages/cli/src/commands/(dev|serve)\\.ts$" },
      to: { path: "^packages/server/" },
    },

    {
      name: "domain-is-pure",
      severity: "error",
      from: { path: `${server}domain/`, pathNot: "\\.test\\.ts$" },
      to: { pathNot: [`${server}domain/`, "^packages/(contract|core)/"] },
    },
    {
      name: "wire-is-pure",
      severity: "error",
      from: { path: `${server}wire/`, pathNot: "\\.test\\.ts$" },
      to: {
        pathNot: [
          `${server}(domain|wire)/`,
          "^packages/(contract|core)/",
          "node_modules/(ajv|ajv-formats|@marcbachmann/cel-js)/",
        ],
      },
    },
    {
      name: "mocks-take-what-is-pure",
      severity: "error",
      from: { path: "^packages/msw/src/" },
      to: { path: server, pathNot: `${server}pure\\.ts$` },
    },
    {
      name: "mocks-run-in-browsers",
      severity: "error",
      from: { path: "^packages/msw/src/" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "pure-exports-what-is-pure",
      severity: "error",
      from: { path: `${server}pure\\.ts$` },
      to: { pathNot: `${server}(domain|wire)/` },
    },
    {
      name: "store-looks-down",
      severity: "error",
      from: { path: `${server}store/` },
      to: { path: `${server}(wire|service|engine|http)/` },
    },
    {
      name: "service-knows-no-transport",
      severity: "error",
      from: { path: `${server}service/` },
      to: { path: [`${server}(engine|http)/`, "node_modules/(hono|@hono/[^/]+|pg|@types/pg)/"] },
    },
    {
      name: "engine-and-http-never-meet",
      severity: "error",
      from: { path: `${server}(engine|http)/` },
      to: { path: `${server}(engine|http)/`, pathNot: `${server}$1/` },
    },
    {
      name: "pg-only-in-store",
      severity: "error",
      from: { path: server, pathNot: `${server}store/` },
      to: { path: "node_modules/(pg|@types/pg)/" },
    },
    {
      name: "hono-only-in-http",
      severity: "error",
      from: { path: server, pathNot: [`${server}http/`, `${server}(compose|main)\\.ts$`] },
      to: { path: "node_modules/(hono|@hono/[^/]+)/" },
    },
    {
      name: "only-main-brings-a-postgres",
      severity: "error",
      from: { path: server, pathNot: [`${server}embedded/`, `${server}main\\.ts$`] },
      to: { path: `${server}embedded/` },
    },
    {
      name: "embedded-knows-the-store-only",
      severity: "error",
      from: { path: `${server}embedded/` },
      to: { path: `${server}(domain|wire|service|engine|http)/` },
    },
    {
      name: "nobody-imports-the-wiring",
      severity: "error",
      from: { path: `${server}[^/]+/` },
      to: { path: `${server}(compose|main)\\.ts$` },
    },

    {
      name: "generated-through-the-index",
      severity: "error",
      from: {
        pathNot: ["/generated/", "^packages/[^/]+/src/(index|operations|openapi|ops|react-query|schemas)\\.ts$"],
      },
      to: { path: "/generated/" },
    },
    {
      name: "generated-knows-no-neighbor",
      severity: "error",
      from: { path: "^packages/([^/]+)/src/generated/" },
      to: {
        path: "^packages/$1/",
        pathNot: ["/generated/", "^packages/$1/src/(lazy-schema|path-types|query|runtime|status-errors)\\.ts$"],
      },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    // By its path, or, where it has not been built yet, as it is written.
    exclude: { path: "^(packages/[^/]+|[./]+)/dist/" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"] },
  },
};
