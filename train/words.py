"""Words that say little by themselves."""

STOP = set("""a about after all also an and any are as at be because been before but by can could did do for from had has
have he her here him his how i if in into is it its just like made may me more most much must my no not now of on one only
or other our out over said same see she should so some such than that the their them then there these they this those
through to two up upon us very was we well were what when where which while who will with would you your""".split())
