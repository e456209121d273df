import { execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { repository } from '../../local/paths.ts'

/** A process and all that it started, by the process table. */
const familyOf = (root: number): number[] => {
  const table = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' })
  const rows = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number])
  const found = [root]
  for (const parent of found) found.push(...rows.filter(([, ppid]) => ppid === parent).map(([pid]) => pid))
  return found
}
const signal = (pids: number[], name: NodeJS.Signals): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {} // ended meanwhile
  }
}

/**
 * `npm start` until the progress says `mark`, and `afterMs` more; then kill -9 of the starter, the embedded AWS, the
 * L2, the training jobs and every Lambda at once: nobody gets to save anything. Returns what was printed.
 */
export const startAndKill = (dir: string, mark: RegExp, afterMs: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const args = [join(repository, 'local/start.ts'), '--once', '--dir', dir]
    const child = spawn(process.execPath, args, { cwd: repository, stdio: ['ignore', 'ignore', 'pipe'] })
    let printed = ''
    let marked = false
    child.stderr.on('data', (chunk: Buffer) => {
      process.stderr.write(chunk)
      printed += chunk
      if (marked || !mark.test(printed)) return
      marked = true
      setTimeout(() => {
        const family = familyOf(child.pid!)
        signal(family, 'SIGSTOP') // so that nobody sees another end first
        signal(familyOf(child.pid!), 'SIGKILL')
      }, afterMs)
    })
    child.on('error', reject)
    child.on('close', (_, ended) =>
      marked && ended === 'SIGKILL' ? resolve(printed) : reject(new Error(`it ended before ${mark}:\n${printed}`)),
    )
  })

/** `npm start` until it serves, and Ctrl-C: its exit code, the processes of its family that are still there, its output. */
export const startAndInterrupt = (
  dir: string,
): Promise<{ code: number | null; left: number[]; table: string; told: string }> =>
  new Promise((resolve, reject) => {
    const args = [join(repository, 'local/start.ts'), '--dir', dir]
    const child = spawn(process.execPath, args, { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] })
    let told = ''
    let table = ''
    let family: number[] = []
    child.stdout.on('data', (chunk: Buffer) => {
      table += chunk
    })
    child.stderr.on('data', (chunk: Buffer) => {
      told += chunk
      if (family.length > 0 || !told.includes('Press Ctrl-C')) return
      family = familyOf(child.pid!)
      child.kill('SIGINT')
    })
    child.on('error', reject)
    child.on('close', async (code) => {
      // A grandchild that was told to end may take a moment more than its parent.
      for (let tries = 0; tries < 20 && family.some(isAlive); tries++) await sleep(250)
      resolve({ code, left: family.filter(isAlive), table, told })
    })
  })

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
