import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FolderInUse, lockFolder } from '../../../local/lock.ts'
import { repository, tether, venvPython } from '../../../local/paths.ts'
import { startChild } from '../../../local/processes/child.ts'
import { rememberedPorts } from '../../../local/processes/ports.ts'
import { CommandFailed, run } from '../../../local/processes/run.ts'
import { eventually } from './platform.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'openledger-children-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const alive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
const gone = (pid: number) => eventually(async () => (alive(pid) ? undefined : true), 10_000)
/** A command that starts a grandchild, writes both process ids to a file, and ignores SIGTERM if told so. */
const family = (file: string, deaf = false) => [
  'sh',
  '-c',
  `${deaf ? "trap '' TERM;" : ''} sleep 600 & echo "$$ $!" > ${file}; wait; sleep 600`,
]
async function pids(file: string): Promise<[number, number]> {
  const text = await eventually(async () => (await readFile(file, 'utf8').catch(() => '')).trim() || undefined)
  const [parent = 0, child = 0] = text.split(' ').map(Number)
  return [parent, child]
}

describe('children', () => {
  test('stop ends the command and what it started', async () => {
    const file = join(dir, 'pids')
    const args = ['-S', '-E', tether, '5', ...family(file)]
    const child = startChild({ name: 'family', command: venvPython, args, logFile: join(dir, 'log') })
    const [parent, grandchild] = await pids(file)
    await child.stop()
    await Promise.all([gone(parent), gone(grandchild)])
  })

  test('a command that ignores SIGTERM is killed after its grace', async () => {
    const file = join(dir, 'pids')
    const args = ['-S', '-E', tether, '1', ...family(file, true)]
    const child = startChild({ name: 'deaf', command: venvPython, args, logFile: join(dir, 'log') })
    const [parent, grandchild] = await pids(file)
    const began = Date.now()
    await child.stop()
    await Promise.all([gone(parent), gone(grandchild)])
    expect(Date.now() - began).toBeGreaterThan(900)
  })

  test('kill -9 of the starter leaves nothing behind', async () => {
    const file = join(dir, 'pids')
    const script = join(dir, 'starter.ts')
    const args = ['-S', '-E', tether, '60', ...family(file, true)]
    await writeFile(
      script,
      `import { startChild } from '${join(repository, 'local', 'processes', 'child.ts')}'
       startChild({ name: 'x', command: '${venvPython}', args: ${JSON.stringify(args)}, logFile: '${join(dir, 'log')}' })
       setInterval(() => {}, 1000)`,
    )
    const starter = spawn(process.execPath, [script], { stdio: 'ignore' })
    const [parent, grandchild] = await pids(file)
    starter.kill('SIGKILL')
    await Promise.all([gone(parent), gone(grandchild)])
  })

  test('a command that cannot start says its name', async () => {
    const child = startChild({ name: 'nothing', command: join(dir, 'no'), args: [], logFile: join(dir, 'log') })
    await expect(child.exited).rejects.toThrow('nothing did not start')
  })
})

test('a failed command carries its code and the end of its output', async () => {
  const failed = run('sh', ['-c', 'echo one; echo two >&2; exit 3'])
  await expect(failed).rejects.toBeInstanceOf(CommandFailed)
  await expect(failed).rejects.toMatchObject({ code: 3, output: expect.stringContaining('two') })
})

describe('ports', () => {
  test('are the same after a restart', async () => {
    const file = join(dir, 'ports.json')
    expect(await rememberedPorts(file)).toEqual(await rememberedPorts(file))
  })

  test('a remembered port that is taken gets a substitute', async () => {
    const file = join(dir, 'ports.json')
    const before = await rememberedPorts(file)
    const squatter = createServer()
    await new Promise<void>((resolve) => squatter.listen(before.aws, '127.0.0.1', resolve))
    const after = await rememberedPorts(file, 0)
    expect(after.aws).not.toBe(before.aws)
    expect(after.chain).toBe(before.chain)
    squatter.close()
  })

  test('a remembered port that a killed predecessor is about to let go of is waited for', async () => {
    const file = join(dir, 'ports.json')
    const before = await rememberedPorts(file)
    const dying = createServer()
    await new Promise<void>((resolve) => dying.listen(before.aws, '127.0.0.1', resolve))
    setTimeout(() => dying.close(), 300)
    expect(await rememberedPorts(file)).toEqual(before)
  })
})

describe('the folder lock', () => {
  test('keeps a second platform out while the first lives', async () => {
    const file = join(dir, 'start.pid')
    await writeFile(file, '1')
    await expect(lockFolder(dir, file)).rejects.toBeInstanceOf(FolderInUse)
  })

  test('of a process that is gone is taken over, and given back', async () => {
    const file = join(dir, 'start.pid')
    await writeFile(file, '99999999')
    const release = await lockFolder(dir, file)
    expect(await readFile(file, 'utf8')).toBe(String(process.pid))
    await release()
    await expect(readFile(file)).rejects.toThrow('ENOENT')
  })
})

describe('npm start', () => {
  const start = (...args: string[]) => run(process.execPath, [join(repository, 'local', 'start.ts'), ...args])

  test('explains itself', async () => {
    expect(await start('--help')).toContain('--no-example')
  })

  test('wrong usage ends with 2', async () => {
    await expect(start('--nonsense')).rejects.toMatchObject({ code: 2, output: expect.stringContaining('usage:') })
  })
})
