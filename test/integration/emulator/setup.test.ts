import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { findInterpreter } from '../../../local/setup/interpreter.ts'
import { installCommand, MissingOnThisMachine } from '../../../local/setup/missing.ts'
import { createProgress } from '../../../local/setup/progress.ts'
import { cpuIndex, installTorch, NoCpuTorch, TORCH } from '../../../local/setup/torch.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'openledger-setup-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function script(name: string, body: string): Promise<string> {
  const file = join(dir, name)
  await writeFile(file, `#!/bin/sh\n${body}\n`)
  await chmod(file, 0o755)
  return file
}

describe('the interpreter', () => {
  test('is the first that is new enough and has venv', async () => {
    const old = await script('old', 'echo 3 9 1 1')
    const bare = await script('bare', 'echo 3 12 4 0')
    const good = await script('good', 'echo 3 11 7 1')
    const found = await findInterpreter([join(dir, 'none'), old, bare, good])
    expect(found).toEqual({ command: good, version: '3.11.7' })
  })

  test('without venv: the missing package is named', async () => {
    const bare = await script('bare', 'echo 3 12 4 0')
    const failed = findInterpreter([bare])
    await expect(failed).rejects.toBeInstanceOf(MissingOnThisMachine)
    await expect(failed).rejects.toThrow(/without its venv module.*\n.*python3\.12-venv|brew install python@3\.12/)
  })

  test('too old, or none: what is needed is named', async () => {
    const old = await script('old', 'echo 3 9 1 1')
    await expect(findInterpreter([old])).rejects.toThrow('Python >= 3.10 is needed')
    await expect(findInterpreter([old])).rejects.toThrow('this machine has 3.9.1')
    await expect(findInterpreter([])).rejects.toThrow('Install it with:')
  })

  test('the command fits the system', () => {
    expect(installCommand('p', 'brew install p', 'darwin')).toBe('brew install p')
    expect(installCommand('p', 'brew install p', 'linux')).toContain('apt-get install -y p')
  })
})

/** A pip that knows what it would install for each requirement, and writes down what it was asked to install. */
async function fakePython(
  cpuBuild: boolean,
  plain: string[],
): Promise<{ python: string; installed(): Promise<string> }> {
  const report = (names: string[]) => JSON.stringify({ install: names.map((name) => ({ metadata: { name } })) })
  const python = await script(
    'python',
    `for last; do :; done
case " $* " in
  *" --dry-run "*)
    while [ "$1" != --report ]; do shift; done
    case "$last" in
      *+cpu) ${cpuBuild ? `echo '${report(['torch'])}' > "$2"` : 'exit 1'} ;;
      *) echo '${report(plain)}' > "$2" ;;
    esac ;;
  *--index-url*) echo "unreachable" >&2; exit 1 ;;
  *) echo "$*" >> ${join(dir, 'installed')} ;;
esac`,
  )
  return { python, installed: () => readFile(join(dir, 'installed'), 'utf8').catch(() => '') }
}

describe('torch', () => {
  test('the CPU build is taken where pip knows one', async () => {
    const { python, installed } = await fakePython(true, ['torch', 'nvidia-cublas'])
    await installTorch(python, () => {})
    expect(await installed()).toContain(`--no-deps torch==${TORCH}+cpu`)
  })

  test('the default build is taken where it needs no CUDA (a Mac)', async () => {
    const { python, installed } = await fakePython(false, ['torch', 'sympy'])
    await installTorch(python, () => {})
    expect(await installed()).toMatch(new RegExp(`--no-deps torch==${TORCH}\\n$`))
  })

  test('a CUDA build is never installed: the way to the CPU build is named', async () => {
    const { python, installed } = await fakePython(false, ['torch', 'nvidia-cublas', 'triton'])
    const failed = installTorch(
      python,
      () => {},
      async () => undefined,
    )
    await expect(failed).rejects.toBeInstanceOf(NoCpuTorch)
    await expect(failed).rejects.toThrow('OPENLEDGER_TORCH_INDEX')
    expect(await installed()).toBe('')
  })

  test('the index that PyTorch itself publishes is asked; when it does not answer, it is named', async () => {
    const { python } = await fakePython(false, ['torch', 'nvidia-cublas', 'triton'])
    const failed = installTorch(
      python,
      () => {},
      async () => 'https://builds.pytorch.org/whl/cpu',
    )
    await expect(failed).rejects.toThrow('could not be had from https://builds.pytorch.org/whl/cpu: unreachable')
  })

  test('its address is read from their page, and from nobody else', async () => {
    const page = (text: string) => (async () => new Response(text)) as typeof fetch
    const commands = (host: string) =>
      `pip install torch==2.0 --index-url https://${host}/whl/cu126\npip install torch==2.0 --index-url https://${host}/whl/cpu\n`
    expect(await cpuIndex(page(commands('builds.pytorch.org')))).toBe('https://builds.pytorch.org/whl/cpu')
    expect(await cpuIndex(page(commands('evilpytorch.org')))).toBeUndefined()
    expect(await cpuIndex(page('nothing'))).toBeUndefined()
    expect(await cpuIndex((() => Promise.reject(new Error('no network'))) as typeof fetch)).toBeUndefined()
  })
})

test('progress keeps the seconds of each stage, also of a failed one out', async () => {
  const lines: string[] = []
  const progress = createProgress((text) => lines.push(text))
  expect(await progress.stage('a', 'first', async () => 7)).toBe(7)
  await expect(progress.stage('b', 'second', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(Object.keys(progress.seconds)).toEqual(['a'])
  expect(lines.join('')).toMatch(/> first\n {2}done: first .*> second\n {2}failed: second/s)
})
