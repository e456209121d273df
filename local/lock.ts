import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Another platform runs in this folder. */
export class FolderInUse extends Error {
  constructor(dir: string, pid: number) {
    super(`${dir} is in use by a platform that runs as process ${pid}; stop it, or choose another folder by --dir`)
    this.name = 'FolderInUse'
  }
}

/** Takes a folder for this process; a lock of a process that is gone is taken over. Returns how to give it back. */
export async function lockFolder(dir: string, file: string): Promise<() => Promise<void>> {
  await mkdir(dirname(file), { recursive: true })
  for (;;) {
    const handle = await open(file, 'wx').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    if (handle) {
      await handle.writeFile(String(process.pid))
      await handle.close()
      return () => rm(file, { force: true })
    }
    const pid = Number(await readFile(file, 'utf8').catch(() => '0'))
    if (pid !== process.pid && alive(pid)) throw new FolderInUse(dir, pid)
    await rm(file, { force: true })
  }
}

function alive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
