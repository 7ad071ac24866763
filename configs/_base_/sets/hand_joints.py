# The joints of a hand, by the names that MMPose gives them: of a finger, 1 is where it
# begins and 4 its tip.
hand_joints = ['wrist'] + [
    f'{finger}{i}'
    for finger in ('thumb', 'forefinger', 'middle_finger', 'ring_finger',
                   'pinky_finger')
    for i in (1, 2, 3, 4)
]
