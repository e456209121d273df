import { join } from 'node:path'

/** Places in the repository that the local platform needs. */
export const repository = join(import.meta.dirname, '..')
/** One folder per GPU image; OPENLEDGER_IMAGES names others, to try an image that is being written. */
export const images = process.env['OPENLEDGER_IMAGES'] ?? join(repository, 'gpu-images')
export const emulatorPackage = join(import.meta.dirname, 'emulator')
export const tether = join(emulatorPackage, 'openledger_emulator', 'tether.py')
export const nodeModulesBin = join(repository, 'node_modules', '.bin')

/** The Python environment. OPENLEDGER_VENV moves it, so that a set-up can be tried without touching the usual one. */
export const venv = process.env.OPENLEDGER_VENV ?? join(repository, '.venv')
export const venvPython = join(venv, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')

/** PATH with the Node 24 and the tools of this repository in front, for every process that we start. */
export function withTools(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return { ...env, PATH: [nodeModulesBin, join(venv, 'bin'), env['PATH'] ?? ''].join(':') }
}
