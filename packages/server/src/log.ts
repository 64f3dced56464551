import { type DestinationStream, type Logger, pino, stdSerializers } from "pino";
import type { Config } from "./config.ts";

/**
 * The process's log, to standard error. Of an error only what tells about it is written: drivers hang connections and
 * statements with their values on theirs.
 */
export function createLog({ log }: Pick<Config, "log">, destination: DestinationStream = pino.destination(2)): Logger {
  return pino(
    {
      level: log.level,
      name: "strait",
      serializers: {
        err(error: unknown) {
          if (!(error instanceof Error)) return error;
          const { type, message, stack } = stdSerializers.err(error);
          return { type, message, stack, ...("code" in error ? { code: error.code } : {}) };
        },
      },
    },
    destination,
  );
}
