import { execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
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
