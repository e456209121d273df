/** Seconds of each finished stage, by its name. */
export type Seconds = Record<string, number>

/** Tells a person what happens now and how long it took, on standard error. */
export interface Progress {
  readonly seconds: Seconds
  /** Runs one stage. `label` is what people read, `key` what `seconds` is keyed by. */
  stage<T>(key: string, label: string, work: () => Promise<T>): Promise<T>
  note(line: string): void
}

export function createProgress(write: (text: string) => void = (text) => process.stderr.write(text)): Progress {
  const seconds: Seconds = {}
  return {
    seconds,
    note: (line) => write(`  ${line}\n`),
    async stage(key, label, work) {
      write(`> ${label}\n`)
      const began = performance.now()
      try {
        const result = await work()
        const took = (performance.now() - began) / 1000
        seconds[key] = Math.round(((seconds[key] ?? 0) + took) * 100) / 100
        write(`  done: ${label} (${took.toFixed(1)} s)\n`)
        return result
      } catch (error) {
        write(`  failed: ${label} (${((performance.now() - began) / 1000).toFixed(1)} s)\n`)
        throw error
      }
    },
  }
}
