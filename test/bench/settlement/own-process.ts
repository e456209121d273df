import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/** Runs a script of this folder alone, so that its memory and processor time are its own; it prints one JSON value. */
export const inItsOwnProcess = <Result>(script: string, ...args: string[]): Result => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(import.meta.dirname, script), ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${script} failed: ${stderr}`)
  return JSON.parse(stdout) as Result
}
