/** Everything that is logged, kept for a test to look at. */
import { Layer, Logger, References } from "effect"

export interface Line {
  readonly level: string
  readonly text: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** A logger that keeps what it is given, and the layer that puts it in place of all others. */
export const capture = () => {
  const lines: Array<Line> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    const [text] = Array.isArray(message) ? message : [message]
    lines.push({
      level: logLevel,
      text: String(text),
      annotations: fiber.getRef(References.CurrentLogAnnotations)
    })
  })
  return { lines, layer: Layer.fresh(Logger.layer([logger])) }
}
