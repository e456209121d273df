import { join } from 'node:path'
import { Aws } from 'aws-cdk-lib'
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets'
import { PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import { House } from './constructs/house.ts'

/** The GPU images: given by ECR URI in the configuration, or built from gpu-images/ at deploy time (synth needs no Docker). */
export class Images extends Construct {
  readonly fineTune: string
  readonly openLora: string
  readonly influence: string
  readonly #repositories: string[]

  constructor(scope: Construct, id: string) {
    super(scope, id)
    const { images: given, hosting } = House.of(this).config
    const context = join(import.meta.dirname, '../gpu-images')
    const built = (name: string, folder: string, buildArgs?: Record<string, string>) =>
      new DockerImageAsset(this, name, {
        directory: context,
        file: `${folder}/Dockerfile`,
        platform: Platform.LINUX_AMD64,
        ...(buildArgs && { buildArgs }),
        exclude: ['**/__pycache__', '**/tests', '**/.pytest_cache'],
      })
    if (given) {
      this.fineTune = given.fineTune
      this.openLora = given.openLora
      this.influence = given.influence
      this.#repositories = [given.fineTune, given.openLora, given.influence].map(repositoryArn)
      return
    }
    const [fineTune, openLora, influence] = [
      built('FineTune', 'fine-tune'),
      built('OpenLora', 'open-lora', { ENGINE: hosting.engine }),
      built('Influence', 'influence'),
    ]
    this.fineTune = fineTune.imageUri
    this.openLora = openLora.imageUri
    this.influence = influence.imageUri
    this.#repositories = [fineTune.repository.repositoryArn]
  }

  grantPull(role: Role): void {
    role.addToPolicy(new PolicyStatement({ actions: ['ecr:GetAuthorizationToken'], resources: ['*'] }))
    role.addToPolicy(
      new PolicyStatement({
        actions: ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'],
        resources: [...new Set(this.#repositories)],
      }),
    )
  }
}

/** `<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>` -> the repository's ARN. */
const repositoryArn = (uri: string): string => {
  const [host = '', ...path] = uri.split('/')
  const [account, , , region] = host.split('.')
  return `arn:${Aws.PARTITION}:ecr:${region}:${account}:repository/${path.join('/').replace(/[:@].*$/, '')}`
}
