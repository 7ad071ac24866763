"""What the stack below MMPose-DA needs to run today.

Importing a module of this package changes nothing; :mod:`mmpose_da` calls their
functions. Nothing is imported here, because the version gate in :mod:`.versions` has to
run before the packages that the other modules import.
"""
