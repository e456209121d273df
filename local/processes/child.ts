import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'

/** A long-running process of the platform, started by us and stopped by us. */
export interface Child {
  readonly name: string
  readonly pid: number
  /** Resolves with the exit code (null when a signal ended it). */
  readonly exited: Promise<number | null>
  /** SIGTERM, then SIGKILL after `graceMs`. Resolves when the process is gone. */
  stop(graceMs?: number): Promise<void>
}

export interface ChildOptions {
  name: string
  command: string
  args: readonly string[]
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** Standard output and error are appended to this file. */
  logFile: string
}

/**
 * Starts a process that watches its standard input: we hold the other end and never write, so it ends when we do,
 * even by `kill -9`. It gets its own process group, so that Ctrl-C in the terminal reaches us alone and children
 * stop in our order.
 */
export function startChild(options: ChildOptions): Child {
  const log = createWriteStream(options.logFile, { flags: 'a' })
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  child.stdin?.on('error', () => {}) // the child may close its end first
  pipeTo(child, log)
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) => reject(new Error(`${options.name} did not start: ${cause.message}`, { cause })))
    child.once('close', (code) => log.end(() => resolve(code)))
  })
  exited.catch(() => {}) // whoever awaits `exited` or `stop` sees it
  return {
    name: options.name,
    pid: child.pid ?? -1,
    exited,
    stop: (graceMs = 15_000) => stop(child, exited, graceMs),
  }
}

function pipeTo(child: ChildProcess, log: WriteStream): void {
  child.stdout?.pipe(log, { end: false })
  child.stderr?.pipe(log, { end: false })
}

async function stop(child: ChildProcess, exited: Promise<unknown>, graceMs: number): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await exited.catch(() => {})
    clearTimeout(timer)
  }
}
