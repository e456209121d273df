import type { DatanetVersion } from '#schema/datanets'
import type { BaseModel, Training } from '#schema/models'

export interface JobSettings {
  image: string
  roleArn: string
  instanceType: string
  bucket: string
  spot: boolean
}

/** `<trainingId>-<attempt>`, in the characters that SageMaker allows. */
export const jobNameOf = (trainingId: string, attempt: number): string => `${trainingId.replace('_', '-')}-${attempt}`

export const trainingPrefix = (trainingId: string): string => `trainings/${trainingId}`
/** Where the job leaves its files (CompressionType NONE). */
export const outputPrefix = (trainingId: string, jobName: string): string =>
  `${trainingPrefix(trainingId)}/output/${jobName}/output/model/`

/** job.json of the training image's channel `job`. */
export const jobFile = (training: Training, base: BaseModel, versions: readonly DatanetVersion[]): object => {
  const { recipe } = training
  return {
    trainingId: training.id,
    attempt: training.attempt,
    baseId: base.id,
    baseDigest: base.digest,
    datanets: versions.map(({ datanetId, version, root, rows }) => ({ id: datanetId, version, root, rows })),
    method: recipe.method,
    hyperparameters: recipe.hyperparameters,
    influence: { enabled: recipe.attribution === 'full', checkpoints: 4, directions: 2040 },
    limits: { maxSeconds: recipe.limits.maxSeconds },
  }
}

/**
 * Arguments of sagemaker:CreateTrainingJob (SageMaker API reference). Network isolation: everything arrives by
 * channel. With spot the job may wait as long again as it may run; checkpoints let it go on where it was.
 */
export const createTrainingJob = (training: Training, settings: JobSettings): object => {
  const prefix = `s3://${settings.bucket}/${trainingPrefix(training.id)}`
  const channel = (name: string, uri: string) => ({
    ChannelName: name,
    DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: uri, S3DataDistributionType: 'FullyReplicated' } },
    InputMode: 'File',
  })
  const seconds = training.recipe.limits.maxSeconds
  return {
    TrainingJobName: jobNameOf(training.id, training.attempt),
    AlgorithmSpecification: { TrainingImage: settings.image, TrainingInputMode: 'File' },
    RoleArn: settings.roleArn,
    InputDataConfig: [
      channel('job', `${prefix}/job/`),
      channel('rows', `${prefix}/rows/`),
      channel('base', `s3://${settings.bucket}/bases/${training.recipe.baseId}/`),
    ],
    OutputDataConfig: { S3OutputPath: `${prefix}/output`, CompressionType: 'NONE' },
    ResourceConfig: { InstanceType: settings.instanceType, InstanceCount: 1, VolumeSizeInGB: 50 },
    StoppingCondition: {
      MaxRuntimeInSeconds: seconds,
      ...(settings.spot ? { MaxWaitTimeInSeconds: seconds * 2 } : {}),
    },
    EnableManagedSpotTraining: settings.spot,
    // Per attempt: a failed one costs nothing, so its work must not be what a retry begins with.
    CheckpointConfig: { S3Uri: `${prefix}/checkpoints/${training.attempt}/` },
    EnableNetworkIsolation: true,
    Tags: [{ Key: 'openledger:training', Value: training.id }],
  }
}
