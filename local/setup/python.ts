import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { images, repository, venv, venvPython } from '../paths.ts'
import { run } from '../processes/run.ts'
import { findInterpreter } from './interpreter.ts'
import { installTorch, TORCH } from './torch.ts'

const REQUIREMENTS = join(repository, 'local', 'python', 'requirements.txt')
const STAMP = join(venv, 'openledger-setup.json')
const IMAGES = ['fine-tune', 'open-lora', 'influence']

/** Makes the Python environment as requirements.txt pins it. Does nothing when the stamp says that it is so already. */
export async function ensurePython(note: (line: string) => void): Promise<void> {
  const wanted = await fingerprint()
  if (existsSync(venvPython) && (await readFile(STAMP, 'utf8').catch(() => '')) === wanted) return
  if (!existsSync(venvPython)) {
    const interpreter = await findInterpreter()
    note(`Python ${interpreter.version}: making the environment ${venv}`)
    await run(interpreter.command, ['-m', 'venv', venv])
  }
  const shown = (line: string) => {
    if (/^(Collecting|Downloading|Installing|Successfully|the default build|error)/i.test(line.trim()))
      note(line.trim().slice(0, 110))
  }
  if (!(await hasTorch())) {
    note(`torch ${TORCH}, CPU build (about 200 MB)`)
    await installTorch(venvPython, shown)
  }
  note('the packages of local/python/requirements.txt, each checked by its hash')
  const flags = ['--no-deps', '--require-hashes', '--no-input', '--disable-pip-version-check', '--progress-bar', 'off']
  await run(venvPython, ['-m', 'pip', 'install', ...flags, '-r', REQUIREMENTS], { onLine: shown })
  await linkImages()
  await writeFile(STAMP, wanted)
}

/** A `.pth` file puts the packages of the three images on the path, so that `python -m fine_tune.train` works. */
async function linkImages(): Promise<void> {
  const site = (await run(venvPython, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'])).trim()
  const lines = IMAGES.map((image) => join(images, image, 'src'))
  await writeFile(join(site, 'openledger.pth'), `${lines.join('\n')}\n`)
}

async function hasTorch(): Promise<boolean> {
  const version = await run(venvPython, ['-c', 'import importlib.metadata as m; print(m.version("torch"))']).catch(
    () => '',
  )
  return version.trim().split('+')[0] === TORCH
}

/** Changes when the requirements, torch or the place of the repository change. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256')
  hash.update(await readFile(REQUIREMENTS))
  hash.update(`${TORCH}\n${images}\n`)
  return `${JSON.stringify({ fingerprint: hash.digest('hex') })}\n`
}
